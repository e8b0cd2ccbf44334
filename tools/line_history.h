#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tern::tools {

/// Lines that were typed, for the arrow keys to bring back, in a file that only its owner may read: one line each, the
/// oldest first. Each line is appended when it is typed, so that several programs may share the file.
class LineHistory {
 public:
  static constexpr std::size_t kMaxLines = 1000;  // older ones are forgotten when the file is read

  /// Nothing is kept with an empty path. A file that cannot be read is an empty one.
  explicit LineHistory(std::filesystem::path file);

  [[nodiscard]] const std::vector<std::string>& lines() const noexcept { return lines_; }
  /// Failing to write is no error: the line is remembered until the program ends.
  void add(std::string_view line);

 private:
  void read();

  std::filesystem::path file_;
  std::vector<std::string> lines_;
};

/// tern/history in XDG_STATE_HOME, else in ~/.local/state; empty when there is neither.
/// Source    XDG Base Directory Specification 0.8
[[nodiscard]] std::filesystem::path history_file();

}  // namespace tern::tools
