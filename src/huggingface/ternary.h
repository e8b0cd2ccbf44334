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
  kExact,    ///< floats that are 0 or plus or minus one value already, in the tensor or in a group of columns
};

/// What a tensor's bytes mean, and how to make a tensor of GGUF's types of them.
struct TernarySource {
  TernaryForm form = TernaryForm::kPacked;
  Dtype dtype = Dtype::kU8;    // kF32, kF16 or kBf16 unless packed
  float scale = 1.0f;          // packed: multiplies the codes
  std::size_t rotary_dim = 0;  // rows of a head whose order is changed from halves to pairs; 0: none
  std::size_t group = 0;       // exact: columns of a row that share a magnitude, see find_group()
  std::string file;            // for messages

  /// The tensor in converted_type(group).
  /// Errors    Error(kBadFile): floats that are not finite, or not ternary where they have to be;
  ///           Error(kUnsupported): a group's magnitude that 16 bits do not hold
  [[nodiscard]] std::vector<std::byte> operator()(const format::TensorInfo& tensor) const;
};

/// Columns that share a magnitude in exact floats, as some of the rows show it: 256, 128 or 64; 0: all of the tensor
/// do, or it is not ternary, as its conversion will say.
[[nodiscard]] std::size_t find_group(const format::TensorInfo& tensor, Dtype dtype);

/// GGUF's type id of what a tensor becomes: I2_S, or a type with a scale for every group.
[[nodiscard]] std::uint32_t converted_type(std::size_t group) noexcept;
/// Weights of a tensor are converted in groups of so many.
inline constexpr std::uint64_t kConvertedUnit = 128;

}  // namespace tern::huggingface
