#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"
#include "src/weights/codec.h"

namespace tern::nn {

/// A matrix as it lies in the file, read as floats: embedding, head, or a linear layer that is not ternary. (rows,
/// cols)
struct DenseMatrix {
  const weights::TensorCodec* codec = nullptr;
  const std::byte* data = nullptr;  // aligned for its element type
  std::size_t row_bytes = 0;
  std::size_t rows = 0;
  std::size_t cols = 0;

  [[nodiscard]] std::uint64_t bytes() const noexcept { return std::uint64_t{rows} * row_bytes; }
  /// values: (cols), exact
  void decode_row(std::size_t row, float* values) const { codec->read_row(data, rows * cols, row, cols, values); }
};

// GGUF ids of the types that kernels read without decoding.
inline constexpr std::uint32_t kF32 = 0;
inline constexpr std::uint32_t kF16 = 1;

/// Rows decoded at a time, so that a decoded block stays in the second-level cache.
inline constexpr std::size_t kDenseRowBlock = 16;

/// y[t][r] = matrix[r] . x[t] for r in [row_begin, row_end), every t.
///
/// Shapes    x: (n_tokens, cols); y: (n_tokens, y_stride); scratch: (kDenseRowBlock, cols)
/// Exact     the result does not depend on n_tokens, nor on how rows are split: every weight is decoded exactly and
///           every product is FloatKernels' one dot product
void multiply_dense(const kernels::FloatKernels& floats, const DenseMatrix& matrix, const float* x,
                    std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, float* y, std::size_t y_stride,
                    float* scratch);

}  // namespace tern::nn
