#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace tern {

/// A regular file mapped read-only, as one span of bytes.
class MappedFile {
 public:
  /// Errors    Error(kIo): missing, a directory, not a regular file, unreadable; Error(kBadFile): empty
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// Whether these bytes lie in the mapping.
  [[nodiscard]] bool holds(std::span<const std::byte> part) const noexcept {
    // Compared as std::less would: the bytes may be of another object.
    const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
    const auto first = reinterpret_cast<std::uintptr_t>(data_);
    return begin >= first && begin - first <= size_ && part.size() <= size_ - (begin - first);
  }

  /// Tells the system that these bytes were read for the last time, so that they stop counting as memory in use.
  void release(std::span<const std::byte> part) const noexcept;
  /// Has the system map these bytes now, in one go, as far as it can: cheaper than a fault for every few pages of them.
  static void fetch(std::span<const std::byte> part) noexcept;
  /// Throws Error(kBadFile) when the file was truncated since it was mapped (reading past its end would kill us).
  void check_not_truncated() const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  int descriptor_ = -1;
};

}  // namespace tern
