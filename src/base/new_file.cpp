#include "src/base/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "src/base/check.h"

namespace tern {

NewFile::NewFile(std::filesystem::path path) : path_(std::move(path)) {
  constexpr int kMaxTries = 100;
  for (int i = 0; descriptor_ < 0 && i < kMaxTries; ++i) {
    // A process that was killed may have left one behind; in a container the next one often has its number.
    temporary_ = path_.string() + "." + std::to_string(::getpid()) + (i == 0 ? "" : "-" + std::to_string(i)) + ".part";
    // O_EXCL: what somebody put there beforehand, such as a link to another file, is not written to.
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) break;
  }
  if (descriptor_ < 0) fail_to_write(errno);
}

NewFile::~NewFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void NewFile::reserve(std::uint64_t n_bytes) {
  if (n_bytes == 0) return;
  // Not posix_fallocate(), which writes to every block where the file system has no such call.
  while (::fallocate(descriptor_, 0, 0, static_cast<::off_t>(n_bytes)) != 0) {
    if (errno == EINTR) continue;
    if (errno == ENOSPC || errno == EFBIG) fail_to_write(errno);
    return;
  }
}

void NewFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ::ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_to_write(errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void NewFile::sync() {
  while (::fsync(descriptor_) != 0) {
    if (errno == EINVAL || errno == EROFS) return;  // a file system that has nothing to wait for
    if (errno != EINTR) fail_to_write(errno);
  }
}

void NewFile::commit() {
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_to_write(errno);
  ::close(std::exchange(descriptor_, -1));
}

void NewFile::fail_to_write(int error) const {
  fail(ErrorKind::kIo, "{}: cannot be written: {}", path_.string(), std::strerror(error));
}

}  // namespace tern
