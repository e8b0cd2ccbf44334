#include "tools/input.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tern/error.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

std::string read_all(std::FILE* file, std::string_view name) {
  std::string text;
  char buffer[1 << 16];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file)) text.append(buffer, n);
  if (std::ferror(file) != 0) {
    throw Error(ErrorKind::kIo, fmt::format("{}: can not be read: {}", name, std::strerror(errno)));
  }
  return text;
}

}  // namespace

void TextSource::declare(CLI::App& app, const std::string& what) {
  text_ = app.add_option("-p,--prompt,text", argument, what)->type_name("TEXT");
  app.add_option("-f,--file", file, what + " from a file, - for standard input")->type_name("FILE")->excludes(text_);
}

std::string TextSource::read() const {
  if (is_argument()) return argument;
  if (!file.empty()) return read_file(file);
  if (::isatty(STDIN_FILENO) != 0) {
    throw Error(ErrorKind::kInvalidArgument, "no text: give it as an argument, with -f FILE, or on standard input");
  }
  return read_file("-");
}

std::string read_file(const std::string& path) {
  if (path == "-") return read_all(stdin, "standard input");
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (!file) throw Error(ErrorKind::kIo, fmt::format("{}: can not be opened: {}", path, std::strerror(errno)));
  return read_all(file.get(), path);
}

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template std::optional<Token> parse_number<Token>(std::string_view text);
template std::optional<float> parse_number<float>(std::string_view text);

std::vector<Token> parse_tokens(std::string_view text) {
  std::vector<Token> tokens;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view item = text.substr(begin, end - begin);
    const auto token = parse_number<Token>(item);
    if (!token) {
      throw Error(ErrorKind::kInvalidArgument,
                  fmt::format("--tokens: expected token ids such as 1,2,3, found '{}'", one_line(item)));
    }
    tokens.push_back(*token);
    begin = end + 1;
  }
  return tokens;
}

}  // namespace tern::tools
