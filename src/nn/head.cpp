#include "src/nn/head.h"

#include <cmath>

#include "src/base/checked_math.h"

namespace tern::nn {
namespace {

/// Rows that a thread takes at least: enough to hide where one thread ends and the next begins.
constexpr std::size_t kRowUnit = 64;

std::size_t stride_of(std::size_t cols) noexcept { return round_up(cols, kernels::kHeadAlignment); }

}  // namespace

bool fits_head(const DenseMatrix& matrix) noexcept {
  return matrix.cols <= kernels::kHeadMaxCols && !matrix.codec->is_ternary();
}

std::uint64_t head_bytes(std::size_t rows, std::size_t cols) noexcept {
  return std::uint64_t{rows} * (stride_of(cols) + sizeof(float));
}

HeadMatrix make_head(const kernels::HeadKernels& kernels, std::size_t rows, std::size_t cols,
                     std::span<std::uint8_t> memory) noexcept {
  const std::size_t stride = stride_of(cols);
  return {&kernels, memory.data(), reinterpret_cast<float*>(memory.data() + rows * stride), rows, cols, stride};
}

std::optional<std::size_t> quantize_rows(const DenseMatrix& matrix, std::size_t row_begin, std::size_t row_end,
                                         float* scratch, const HeadMatrix& head) {
  for (std::size_t row = row_begin; row < row_end; ++row) {
    const std::byte* from = matrix.data + row * matrix.row_bytes;
    std::uint8_t* to = head.weights + row * head.stride;
    if (matrix.codec->gguf_type == kF16) {
      head.scales[row] = head.kernels->quantize_row_f16(reinterpret_cast<const std::uint16_t*>(from), matrix.cols, to);
    } else {
      matrix.decode_row(row, scratch);
      head.scales[row] = head.kernels->quantize_row_f32(scratch, matrix.cols, to);
    }
    if (!std::isfinite(head.scales[row])) return row;
  }
  return std::nullopt;
}

void project_head(const Compute& compute, const HeadMatrix& head, MatrixView x, MatrixView y) {
  std::uint8_t* operand = compute.work.operand.take(head.kernels->operand_bytes(x.rows, head.cols));
  compute.for_each_token(x.rows, [&](std::size_t t) {
    head.kernels->quantize_hidden(x.row(t), head.cols, {t, x.rows}, operand);
  });
  compute.pool.parallel_for(head.rows, kRowUnit, [&](std::size_t begin, std::size_t end, unsigned) {
    head.kernels->multiply({.rows = head.weights,
                            .stride = head.stride,
                            .scales = head.scales,
                            .operand = operand,
                            .cols = head.cols,
                            .n_tokens = x.rows,
                            .row_begin = begin,
                            .row_end = end,
                            .y = y.data,
                            .y_stride = y.cols});
  });
}

}  // namespace tern::nn
