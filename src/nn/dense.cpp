#include "src/nn/dense.h"

#include <algorithm>

namespace tern::nn {

void multiply_dense(const kernels::FloatKernels& floats, const DenseMatrix& matrix, const float* x,
                    std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, float* y, std::size_t y_stride,
                    float* scratch) {
  const std::size_t cols = matrix.cols;
  const std::byte* first = matrix.data + row_begin * matrix.row_bytes;
  const std::size_t n_rows = row_end - row_begin;
  if (matrix.codec->gguf_type == kF32) {
    for (std::size_t t = 0; t < n_tokens; ++t) {
      floats.dot_rows_f32(reinterpret_cast<const float*>(first), cols, n_rows, x + t * cols, cols,
                          y + t * y_stride + row_begin);
    }
    return;
  }
  if (matrix.codec->gguf_type == kF16 && n_tokens == 1) {
    floats.dot_rows_f16(reinterpret_cast<const std::uint16_t*>(first), cols, n_rows, x, cols, y + row_begin);
    return;
  }
  for (std::size_t block = row_begin; block < row_end; block += kDenseRowBlock) {
    const std::size_t n_block = std::min(kDenseRowBlock, row_end - block);
    for (std::size_t r = 0; r < n_block; ++r) matrix.decode_row(block + r, scratch + r * cols);
    for (std::size_t t = 0; t < n_tokens; ++t) {
      floats.dot_rows_f32(scratch, cols, n_block, x + t * cols, cols, y + t * y_stride + block);
    }
  }
}

}  // namespace tern::nn
