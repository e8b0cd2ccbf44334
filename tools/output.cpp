#include "tools/output.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tern/error.h"

namespace tern::tools {
namespace {

namespace fs = std::filesystem;

void write_to_stdout(const char* data, std::size_t size) {
  while (size > 0) {
    const ::ssize_t written = ::write(STDOUT_FILENO, data, size);
    if (written >= 0) {
      data += written;
      size -= static_cast<std::size_t>(written);
    } else if (errno == EPIPE) {
      throw OutputClosed{};
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      // Somebody made the pipe non-blocking: wait until its reader has caught up.
      struct pollfd writable {
        STDOUT_FILENO, POLLOUT, 0
      };
      static_cast<void>(::poll(&writable, 1, -1));
    } else if (errno != EINTR) {
      throw Error(ErrorKind::kIo, fmt::format("standard output: {}", std::strerror(errno)));
    }
  }
}

/// Opens a file of its own beside `path`: what somebody put there beforehand, such as a link, is not written to.
/// Returns -1 with errno when it cannot.
int open_temporary(const fs::path& path, ::mode_t mode, fs::path& temporary) {
  constexpr int kMaxTries = 100;  // a process with this number may have been killed and left one behind
  for (int i = 0; i < kMaxTries; ++i) {
    temporary = fmt::format("{}.{}{}.part", path.string(), ::getpid(), i == 0 ? "" : fmt::format("-{}", i));
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (descriptor >= 0 || errno != EEXIST) return descriptor;
  }
  return -1;
}

/// Whether two names are those of parts of one split model: NAME-00001-of-00003.gguf.
bool are_parts_of_one(const fs::path& a, const fs::path& b) {
  constexpr std::string_view kTail = "00001-of-00003.gguf";
  constexpr std::size_t kDigits = 5;
  const auto without_number = [&](const fs::path& path) {
    std::string name = path.filename().string();
    const bool is_part = name.size() > kTail.size() && name.ends_with(".gguf") &&
                         name.compare(name.size() - kTail.size() + kDigits, 4, "-of-") == 0;
    return is_part ? name.erase(name.size() - kTail.size(), kDigits) : std::string();
  };
  const std::string name = without_number(a);
  return !name.empty() && name == without_number(b);
}

/// What a directory of a model is read for.
bool is_read_of_directory(const fs::path& file) {
  const fs::path kind = file.extension();
  return kind == ".safetensors" || kind == ".json" || kind == ".model";
}

/// Whether `output`, which is there, is read as `input` or as a part of it.
bool is_part_of(const fs::path& output, const fs::path& input) {
  std::error_code ignored;
  if (fs::equivalent(output, input, ignored)) return true;
  const auto folder = [](const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); };
  if (fs::is_directory(input, ignored)) {
    return is_read_of_directory(output) && fs::equivalent(folder(output), input, ignored);
  }
  return are_parts_of_one(output, input) && fs::equivalent(folder(output), folder(input), ignored);
}

constexpr auto kBetweenDraws = std::chrono::milliseconds(50);

}  // namespace

void print(std::string_view text) { write_to_stdout(text.data(), text.size()); }

void check_output(const std::string& output, std::initializer_list<std::string> inputs) {
  const auto refuse = [&](const char* why) {
    throw Error(ErrorKind::kInvalidArgument, fmt::format("{}: {}", output.empty() ? "--output" : output, why));
  };
  if (output.empty()) refuse("expected the name of a file, found nothing");
  std::error_code ignored;
  if (output == "-" || !fs::is_regular_file(output, ignored)) return;  // nothing is lost
  for (const std::string& input : inputs) {
    const fs::path read = input == "-" ? "/dev/stdin" : input;
    if (!input.empty() && is_part_of(output, read)) refuse("is the source itself: name another file");
  }
}

OutputFile::OutputFile(const std::string& path, ::mode_t mode) {
  if (path == "-") return;
  path_ = path;
  std::error_code ignored;
  const auto status = std::filesystem::status(path_, ignored);
  if (std::filesystem::is_directory(status)) {
    throw Error(ErrorKind::kIo, fmt::format("{}: is a directory", path));
  }
  const bool is_file = !std::filesystem::exists(status) || std::filesystem::is_regular_file(status);
  const int descriptor =
      is_file ? open_temporary(path_, mode, temporary_) : ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor >= 0) file_ = ::fdopen(descriptor, "wb");
  if (file_ == nullptr) {
    temporary_.clear();
    fail_to_write();
  }
}

OutputFile::~OutputFile() {
  if (file_ != nullptr) std::fclose(file_);
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  if (path_.empty()) return write_to_stdout(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail_to_write();
}

void OutputFile::commit() {
  if (path_.empty()) return;
  const int closed = std::fclose(std::exchange(file_, nullptr));
  if (closed != 0) fail_to_write();
  if (temporary_.empty()) return;
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_to_write();
  temporary_.clear();
}

void OutputFile::fail_to_write() const {
  throw Error(ErrorKind::kIo, fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno)));
}

Progress::Progress(std::string label, bool quiet)
    : label_(std::move(label)), visible_(!quiet && ::isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() { finish(); }

void Progress::update(double share) {
  const auto now = std::chrono::steady_clock::now();
  if (!visible_ || now - last_draw_ < kBetweenDraws) return;
  last_draw_ = now;
  drawn_ = true;
  constexpr std::size_t kWidth = 30;  // characters of the bar
  const auto filled = static_cast<std::size_t>(share * kWidth);
  print_to_stderr(fmt::format("\r{} [{:<{}}] {:3.0f} %", label_, std::string(filled, '#'), kWidth, share * 100.0));
}

void Progress::finish() {
  if (drawn_) print_to_stderr("\r\x1b[K");
  drawn_ = false;
}

void print_to_stderr(std::string_view text) noexcept {
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
}

void print_note(std::string_view note) { print_to_stderr(fmt::format("note: {}\n", one_line(note))); }

void print_error(std::string_view message) { print_to_stderr(fmt::format("tern: {}\n", one_line(message))); }

std::string one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return line;
}

}  // namespace tern::tools
