#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "src/format/gguf.h"
#include "src/huggingface/safetensors.h"

namespace tern::huggingface {

/// Where the row that GGUF has at `row` lies in a directory's file, for heads of `rotary_dim` rows: see ternary.cpp. 0:
/// at the same place.
[[nodiscard]] constexpr std::size_t stored_row(std::size_t row, std::size_t rotary_dim) noexcept {
  if (rotary_dim == 0) return row;
  const std::size_t in_head = row % rotary_dim;
  return row - in_head + in_head / 2 + in_head % 2 * (rotary_dim / 2);
}

/// How a checkpoint holds its ternary layers.
enum class TernaryForm {
  kPacked,   ///< four codes of 2 bits in a byte, and a scale beside them
  kMasters,  ///< the floats that training updates: absmean() makes them ternary
  kExact,    ///< floats that are 0 or plus or minus one value already
};

/// What a tensor's bytes mean, and how to make an I2_S tensor of them.
struct TernarySource {
  TernaryForm form = TernaryForm::kPacked;
  Dtype dtype = Dtype::kU8;    // kF32, kF16 or kBf16 unless packed
  float scale = 1.0f;          // packed: multiplies the codes
  std::size_t rotary_dim = 0;  // rows of a head whose order is changed from halves to pairs; 0: none
  std::string file;            // for messages

  /// The tensor in I2_S.
  /// Errors    Error(kBadFile): floats that are not finite, or not ternary where they have to be
  [[nodiscard]] std::vector<std::byte> operator()(const format::TensorInfo& tensor) const;
};

/// GGUF's type id of what it becomes.
[[nodiscard]] std::uint32_t converted_type() noexcept;
/// Weights of a tensor are converted in groups of so many.
inline constexpr std::uint64_t kConvertedUnit = 128;

}  // namespace tern::huggingface
