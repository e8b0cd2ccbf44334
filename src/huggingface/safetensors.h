#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/arena.h"

namespace tern::huggingface {

enum class Dtype : std::uint8_t { kBool, kU8, kI8, kI16, kU16, kF16, kBf16, kI32, kU32, kF32, kI64, kU64, kF64, kF8 };

[[nodiscard]] std::string_view to_string(Dtype dtype) noexcept;

/// A tensor as it lies in a file.
struct StoredTensor {
  std::string_view name;
  Dtype dtype = Dtype::kU8;
  std::vector<std::uint64_t> shape;  // slowest first; empty: one number
  std::uint64_t n_elements = 1;
  std::span<const std::byte> data;  // little-endian, row-major, at any address
};

/// The tensors of a safetensors file, in the order of their bytes. The bytes are not trusted: every one of the file has
/// to belong to the header or to exactly one tensor.
///
/// Errors    Error(kBadFile): truncated, contradictory, over a limit; Error(kUnsupported): an unknown dtype.
///           The message names `source`, and the tensor.
/// Source    the format's description, https://huggingface.co/docs/safetensors
[[nodiscard]] std::vector<StoredTensor> parse_safetensors(std::span<const std::byte> file, const std::string& source,
                                                          Arena& arena);

}  // namespace tern::huggingface
