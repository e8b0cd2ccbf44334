#pragma once

#include <cstdio>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tern/tokenizer.h"
#include "tools/command_line.h"

namespace tern::tools {

/// Where a command's text comes from: an argument, a file, or standard input.
struct TextSource {
  std::string argument;
  std::string file;      ///< "-" is standard input
  bool escapes = false;  ///< turn \n, \t and their like in the text into characters

  /// Adds TEXT (also -p), -f and -e to a command.
  void declare(Command& cli, const std::string& what);
  /// The text, byte for byte but for escapes.
  ///
  /// Errors    Error(kInvalidArgument): several sources or none; Error(kIo)
  [[nodiscard]] std::string read() const;
  /// Calls use(line) for every line, as soon as it is there, so that another program may write one and wait.
  ///
  /// Errors    as read()
  void for_each_line(const std::function<void(std::string_view line)>& use) const;
  [[nodiscard]] bool is_argument() const;
  /// What messages call it.
  [[nodiscard]] std::string name() const;

 private:
  [[nodiscard]] std::string read_plain() const;
  void require_input() const;

  Option text_;
};

/// The lines of a file, one after the other; "-" is standard input.
class LineReader {
 public:
  /// Errors    Error(kIo)
  explicit LineReader(const std::string& path);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line without its newline; nothing at the end.
  ///
  /// Errors    Error(kIo)
  [[nodiscard]] std::optional<std::string> next();
  /// Lines of the whole file, if it is a regular one: for who shows how much is left.
  [[nodiscard]] std::optional<std::size_t> count() const;

 private:
  std::string path_;
  std::FILE* file_;
  char* line_ = nullptr;  // of getline()
  std::size_t capacity_ = 0;
};

/// Turns \n, \r, \t, \", \', \\ and \xNN into the characters they stand for; other backslashes stay.
[[nodiscard]] std::string interpret_escapes(std::string_view text);

/// A whole file; "-" is standard input.
///
/// Errors    Error(kIo); Error(kBadFile): longer than max_bytes
[[nodiscard]] std::string read_file(const std::string& path,
                                    std::size_t max_bytes = std::numeric_limits<std::size_t>::max());

/// "1,2,3".
///
/// Errors    Error(kInvalidArgument)
[[nodiscard]] std::vector<Token> parse_tokens(std::string_view text);

/// A number that takes up the whole text.
template <typename T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text);

extern template std::optional<Token> parse_number<Token>(std::string_view text);
extern template std::optional<std::size_t> parse_number<std::size_t>(std::string_view text);
extern template std::optional<float> parse_number<float>(std::string_view text);

}  // namespace tern::tools
