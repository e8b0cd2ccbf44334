#include "tools/batch_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tern/error.h"
#include "tools/input.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::kInvalidArgument, message); }

}  // namespace

std::string run_path_of(const std::string& results) { return results + ".run"; }

BatchLog::BatchLog(const std::string& path, const Json& run, Existing existing) : path_(path) {
  if (path == "-") {
    if (existing == Existing::kResume) refuse("--resume needs a file of results: -o FILE");
    return;
  }
  try {
    open(run, existing);
  } catch (...) {
    if (file_ >= 0) ::close(file_);
    throw;
  }
}

BatchLog::~BatchLog() {
  if (file_ >= 0) ::close(file_);
}

void BatchLog::open(const Json& run, Existing existing) {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0 && errno == EACCES) file_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);  // a device, a pipe
  struct stat status {};
  if (file_ < 0 || ::fstat(file_, &status) != 0) fail_to_write();
  regular_ = S_ISREG(status.st_mode);
  if (!regular_) {
    if (existing == Existing::kResume) refuse(fmt::format("{}: --resume needs a regular file", path_));
    return;
  }
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) refuse(fmt::format("{}: another process is writing to it", path_));
  const bool has_run = fs::exists(run_path());
  if (existing == Existing::kReplace) {
    if (::ftruncate(file_, 0) != 0) fail_to_write();
  } else if (existing == Existing::kRefuse && status.st_size > 0) {
    refuse(fmt::format("{}: holds results already: --resume goes on with them, --force replaces them", path_));
  } else if (status.st_size > 0 && !has_run) {
    refuse(fmt::format("{}: cannot be gone on with: {} is missing", path_, run_path()));
  } else if (existing == Existing::kResume && has_run) {
    check_run(run);
    return read_done();
  }
  write_run(run);
}

void BatchLog::check_run(const Json& run) const {
  Json before;
  try {
    before = Json::parse(read_file(run_path()));
  } catch (const Json::exception&) {
    refuse(fmt::format("{}: is damaged: --force begins anew", run_path()));
  }
  if (!before.is_object()) refuse(fmt::format("{}: is damaged: --force begins anew", run_path()));
  for (const auto& [key, value] : run.items()) {
    const Json old = before.contains(key) ? before[key] : Json();
    if (old == value) continue;
    refuse(fmt::format("{}: begun with {} {}, not {}: go on as it was begun, or begin anew with --force", path_, key,
                       one_line(old.dump()), one_line(value.dump())));
  }
}

void BatchLog::write_run(const Json& run) const {
  OutputFile file(run_path());
  const std::string text = to_line(run);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

void BatchLog::read_done() {
  const std::string text = read_file(path_);
  std::size_t number = 0;
  for (std::size_t end = 0; (end = text.find('\n', size_)) != std::string::npos; size_ = end + 1) {
    add_done(std::string_view(text).substr(size_, end - size_), ++number);
  }
  // What a killed process has left of a line.
  if (::ftruncate(file_, static_cast<::off_t>(size_)) != 0) fail_to_write();
  if (::lseek(file_, 0, SEEK_END) < 0) fail_to_write();
}

void BatchLog::add_done(std::string_view line, std::size_t number) {
  const Json result = Json::parse(line, nullptr, false);
  const bool good =
      result.is_object() && result.contains("line") && result["line"].is_number_unsigned() && result.contains("id");
  if (!good) refuse(fmt::format("{}: line {} is no result of tern batch", path_, number));
  if (!done_.emplace(result["line"].get<std::size_t>(), result["id"]).second) {
    refuse(fmt::format("{}: line {} is a second result for record {}", path_, number, result["line"].dump()));
  }
  errors_done_ += result.contains("error") ? 1 : 0;
}

void BatchLog::write(std::string_view line) {
  if (file_ < 0) return print(line);
  for (std::size_t written = 0; written < line.size();) {
    const ::ssize_t n = ::write(file_, line.data() + written, line.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      if (regular_) static_cast<void>(::ftruncate(file_, static_cast<::off_t>(size_)));
      if (error == EPIPE) throw OutputClosed{};
      errno = error;
      fail_to_write();
    }
    written += static_cast<std::size_t>(n);
  }
  size_ += line.size();
}

void BatchLog::fail_to_write() const {
  throw Error(ErrorKind::kIo, fmt::format("{}: cannot be written: {}", path_, std::strerror(errno)));
}

void InOrder::expect(std::size_t line) {
  if (ordered_) waiting_.emplace(line, std::string());
}

void InOrder::write(std::size_t line, std::string text) {
  if (!ordered_) return log_.write(text);
  waiting_[line] = std::move(text);
  while (!waiting_.empty() && !waiting_.begin()->second.empty()) {
    log_.write(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
  }
}

}  // namespace tern::tools
