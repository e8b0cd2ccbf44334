#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "src/base/fnv1a.h"
#include "src/format/gguf.h"
#include "tern/model.h"

/// Kernel-ready files: GGUF files whose ternary tensors have the types of src/nn/packed_type.h.
///
///     keys           those of the source, without split.*; general.alignment = 64
///                    tern.ready.version u32, .layout string, .i2s_layout u32, .source u64: its fingerprint
///     tensors        those of the source in its order, all ternary layers packed, the others as they are there
///     tern.head      the output head in int8, or packed when it is ternary; only if it was asked for
///     tern.checksums u64: of keys and directory, then of every tensor before it
namespace tern::engine {

inline constexpr std::uint32_t kReadyVersion = 1;
inline constexpr std::uint64_t kReadyAlignment = 64;  // bytes

inline constexpr std::string_view kReadyPrefix = "tern.ready.";
inline constexpr std::string_view kVersionKey = "tern.ready.version";
inline constexpr std::string_view kLayoutKey = "tern.ready.layout";
inline constexpr std::string_view kI2sLayoutKey = "tern.ready.i2s_layout";
inline constexpr std::string_view kSourceKey = "tern.ready.source";
inline constexpr std::string_view kHeadTensor = "tern.head";
inline constexpr std::string_view kChecksumsTensor = "tern.checksums";

/// What a kernel-ready file has beside the model.
struct KernelReady {
  std::string_view layout;        // of all packed layers
  I2sLayout i2s_layout;           // of what is still in the source's types
  std::uint64_t fingerprint = 0;  // of the source
  std::optional<format::TensorInfo> head;
  std::vector<std::uint64_t> checksums;  // of tensors in the order of the file, the head last
};

/// Takes it out of a parsed file, which is then as the source's would be but for the packed types. Nothing: the file is
/// another one.
///
/// Errors    Error(kBadFile): contradictory, or keys or directory are not what was written
///           Error(kUnsupported): version
[[nodiscard]] std::optional<KernelReady> take_kernel_ready(format::Gguf& gguf);

/// A checksum of keys and directory, whatever bytes they are written with.
class DirectoryHash {
 public:
  explicit DirectoryHash(const format::Metadata& metadata);
  /// The next tensor, `offset` bytes behind the first one.
  void add(const format::TensorInfo& tensor, std::uint64_t n_bytes, std::uint64_t offset);
  [[nodiscard]] std::uint64_t value() const noexcept { return hash_.value(); }

 private:
  WordHash hash_;
};

}  // namespace tern::engine
