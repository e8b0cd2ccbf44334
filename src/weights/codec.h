#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "src/format/gguf.h"

namespace tern::weights {

/// TensorCodec::scale_elements of types with a scale for each row.
inline constexpr std::uint32_t kScalePerRow = ~std::uint32_t{0};

/// How one GGUF tensor type is read, and of some types how it is written. One per file in this folder, listed in
/// codec_table.cpp.
///
/// A ternary type gives codes and scales, a float type values. Types of weights -1 and +1 are ternary ones without
/// zeros.
struct TensorCodec {
  std::string_view name;               // "TQ2_0"
  std::uint32_t gguf_type;             // id in the file
  std::uint32_t block_elements;        // consecutive elements of a row that are coded together
  std::uint32_t block_bytes;           // bytes of such a block; whole-tensor types use tensor_bytes instead
  std::uint32_t row_header_bytes = 0;  // that every row has beside its blocks
  std::uint32_t rows_together = 1;     // interleaved: a tensor's rows are a multiple of it

  /// Bytes of a whole tensor when it is not n_elements / block_elements * block_bytes; nullptr otherwise.
  std::uint64_t (*tensor_bytes)(std::uint64_t n_elements) = nullptr;

  // --- ternary types; nullptr for float types ---------------------------------------------------------
  /// Decodes one row to codes 0, 1, 2 for -1, 0, +1. `tensor` is the whole tensor's bytes, `codes` (cols).
  /// Returns false when the row holds a code that is not ternary (then `codes` is unspecified).
  bool (*unpack_row)(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) = nullptr;
  /// Elements that share one scale: 0 = the whole tensor, else a divisor of a row's length, or kScalePerRow.
  std::uint32_t scale_elements = 0;
  bool has_zero = true;  // false: weights are -1 and +1
  /// Writes the scales of one row, (cols / scale_cols(cols)), or the tensor's one scale when scale_elements is 0.
  void (*read_scales)(const std::byte* tensor, std::size_t n_elements, std::size_t row, std::size_t cols,
                      float* scales) = nullptr;
  /// Packs one row of codes 0, 1, 2 into row_bytes(cols); nullptr: the type is only read. scales: (cols /
  /// scale_cols(cols)), rounded to what the type has; not used by whole-tensor types. Requires whole blocks.
  void (*pack_row)(const std::uint8_t* codes, const float* scales, std::size_t cols, std::byte* row) = nullptr;
  /// What follows the rows of a whole-tensor type that is written.
  std::vector<std::byte> (*pack_tail)(float scale) = nullptr;

  // --- float types; nullptr for ternary types ---------------------------------------------------------
  /// Decodes one row to f32: `row` is the row's first byte, `values` (cols).
  void (*decode_row)(const std::byte* row, std::size_t cols, float* values) = nullptr;
  /// The reverse, rounded; nullptr: the type is only read. Requires whole blocks of finite values.
  /// Returns false when a value is beyond the type's range (then `row` is unspecified).
  bool (*encode_row)(const float* values, std::size_t cols, std::byte* row) = nullptr;

  [[nodiscard]] bool is_ternary() const noexcept { return unpack_row != nullptr; }
  /// Decodes one row of a tensor of any type to f32, exactly; a code of 3, which is not ternary, counts as +2.
  /// values: (cols)
  void read_row(const std::byte* tensor, std::size_t n_elements, std::size_t row, std::size_t cols,
                float* values) const;
  /// Columns of a row that share a scale.
  [[nodiscard]] std::size_t scale_cols(std::size_t cols) const noexcept {
    return scale_elements == 0 || scale_elements == kScalePerRow ? cols : scale_elements;
  }
  /// Bytes of a row; without the scale of whole-tensor types.
  [[nodiscard]] std::size_t row_bytes(std::size_t cols) const noexcept {
    return row_header_bytes + cols * block_bytes / block_elements;
  }
};

/// Every type that tern reads, in order of id.
[[nodiscard]] std::span<const TensorCodec* const> all_codecs() noexcept;
/// nullptr when the id is unknown.
[[nodiscard]] const TensorCodec* find_codec(std::uint32_t gguf_type) noexcept;
/// A format::TensorSizer over the table.
[[nodiscard]] format::TensorSize tensor_size(std::uint32_t type, std::uint64_t cols, std::uint64_t n_elements);
/// The I2_S reader for files whose codes lie in blocks of 64 (see I2sLayout::k64).
[[nodiscard]] const TensorCodec& i2s_64_codec() noexcept;
/// The codec of a tensor whose type is known. i2s_64: I2_S codes of the file lie in blocks of 64;
/// those that are converted never do.
[[nodiscard]] const TensorCodec& codec_of(const format::TensorInfo& tensor, bool i2s_64) noexcept;

}  // namespace tern::weights
