#include "src/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "src/base/check.h"

namespace tern {
namespace {

[[noreturn]] void fail_errno(const std::filesystem::path& path, const char* what) {
  fail(ErrorKind::kIo, "{}: {}: {}", path.string(), what, std::strerror(errno));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK: opening a FIFO must fail below, not hang here.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail_errno(path, "cannot open");
  struct stat status = {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  const bool regular = known && S_ISREG(status.st_mode);
  if (!regular || status.st_size == 0) {
    ::close(descriptor_);
    if (!known) fail_errno(path, "cannot stat");
    if (S_ISDIR(status.st_mode)) fail(ErrorKind::kIo, "{}: is a directory, expected a file", path.string());
    if (!regular) fail(ErrorKind::kIo, "{}: not a regular file", path.string());
    fail(ErrorKind::kBadFile, "{}: file is empty", path.string());
  }
  size_ = static_cast<std::size_t>(status.st_size);
  void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor_, 0);
  if (mapping == MAP_FAILED) {
    ::close(descriptor_);
    fail_errno(path, "cannot map");
  }
  data_ = static_cast<const std::byte*>(mapping);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MappedFile::release(std::span<const std::byte> part) const noexcept {
  // Only whole pages inside the part: its neighbours may still be in use.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(part.data() + part.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void MappedFile::fetch(std::span<const std::byte> part) noexcept {
#ifdef MADV_POPULATE_READ
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data()) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(part.data() + part.size());
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ);
#else
  static_cast<void>(part);
#endif
}

void MappedFile::check_not_truncated() const {
  struct stat status = {};
  if (::fstat(descriptor_, &status) != 0) fail_errno(path_, "cannot stat");
  if (static_cast<std::size_t>(status.st_size) < size_) {
    fail(ErrorKind::kBadFile, "{}: file was truncated while in use: expected {} bytes, found {}", path_.string(), size_,
         status.st_size);
  }
}

}  // namespace tern
