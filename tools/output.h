#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace tern::tools {

/// Thrown when standard output is a pipe that nobody reads any more.
struct OutputClosed {};

/// Writes to standard output at once, unbuffered, so that text streams.
///
/// Errors    Error(kIo); OutputClosed
void print(std::string_view text);

/// Refuses to write over what is read: `inputs` are files, directories or parts of split models; "-" is a standard
/// stream, and an empty input none.
///
/// Errors    Error(kInvalidArgument), also when `output` is empty
void check_output(const std::string& output, std::initializer_list<std::string> inputs);

/// A file that comes into being only when it is complete; "-" is standard output.
///
/// Whatever is not a regular file (a pipe, a device) is written to directly.
class OutputFile {
 public:
  /// `mode`: who may do what with a new file, but for what umask takes.
  /// Errors    Error(kIo), as for write() and commit()
  explicit OutputFile(const std::string& path, ::mode_t mode = 0666);
  /// Removes what was written if it was not committed.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  /// Closes the file and puts it in its place.
  void commit();

 private:
  [[noreturn]] void fail_to_write() const;

  std::filesystem::path path_;       // empty: standard output
  std::filesystem::path temporary_;  // empty: path_ is written to directly
  std::FILE* file_ = nullptr;
};

/// A line on standard error that counts up while something takes its time. Silent when that is no terminal.
class Progress {
 public:
  Progress(std::string label, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `share` done, 0 to 1.
  void update(double share);
  /// Clears the line.
  void finish();

 private:
  std::string label_;
  bool visible_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_draw_{};
};

/// Writes to standard error; that it may be closed is nobody's error.
void print_to_stderr(std::string_view text) noexcept;
/// One remark on standard error: "note: ...".
void print_note(std::string_view note);
/// One line on standard error: "tern: ...".
void print_error(std::string_view message);

/// Text from elsewhere as one line: control characters become '?'.
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace tern::tools
