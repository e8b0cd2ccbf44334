#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <span>

#include "src/base/mapped_file.h"

namespace tern {

/// The mapped files of one model.
class MappedFiles {
 public:
  /// Maps one more; the reference stays valid. Errors as MappedFile's.
  const MappedFile& add(const std::filesystem::path& path) { return files_.emplace_back(path); }

  [[nodiscard]] auto begin() const noexcept { return files_.begin(); }
  [[nodiscard]] auto end() const noexcept { return files_.end(); }
  /// Bytes of all files together.
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    std::uint64_t bytes = 0;
    for (const MappedFile& file : files_) bytes += file.bytes().size();
    return bytes;
  }

  /// MappedFile::release() of the file that holds these bytes; nothing for bytes of no file.
  void release(std::span<const std::byte> part) const noexcept {
    for (const MappedFile& file : files_) {
      if (file.holds(part)) return file.release(part);
    }
  }
  /// Throws Error(kBadFile) when one of them was truncated since it was mapped.
  void check_not_truncated() const {
    for (const MappedFile& file : files_) file.check_not_truncated();
  }

 private:
  std::deque<MappedFile> files_;
};

}  // namespace tern
