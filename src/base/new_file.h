#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace tern {

/// A file that comes into being only when it is complete: until then it is PATH.PID.part beside it.
///
/// Errors    every call: Error(kIo) that names the path
class NewFile {
 public:
  explicit NewFile(std::filesystem::path path);
  /// Removes what was written if it was not committed.
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  /// Sets the room aside, where the file system can, so that a full disk is known before the work is done.
  void reserve(std::uint64_t n_bytes);
  void write(std::span<const std::byte> bytes);
  /// Waits until what was written has reached the disk.
  void sync();
  /// Puts the file in its place in one step. Another file there is replaced.
  void commit();

 private:
  [[noreturn]] void fail_to_write(int error) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

}  // namespace tern
