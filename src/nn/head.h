#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kernels/head.h"
#include "src/nn/compute.h"
#include "src/nn/dense.h"
#include "src/nn/matrix_view.h"

namespace tern::nn {

/// The output head with int8 weights, see kernels/head.h. (rows, cols) = (vocab_size, dim)
struct HeadMatrix {
  const kernels::HeadKernels* kernels = nullptr;
  std::uint8_t* weights = nullptr;  // (rows, stride bytes), 64-byte aligned
  float* scales = nullptr;          // (rows)
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;  // bytes
};

/// Whether a matrix may become a HeadMatrix: its columns must not be more than the sums of the kernels can hold, and
/// ternary weights have better than 8 bits.
[[nodiscard]] bool fits_head(const DenseMatrix& matrix) noexcept;
/// Memory that a HeadMatrix takes, in bytes, scales included.
[[nodiscard]] std::uint64_t head_bytes(std::size_t rows, std::size_t cols) noexcept;
/// An empty HeadMatrix in memory of head_bytes(rows, cols), 64-byte aligned.
[[nodiscard]] HeadMatrix make_head(const kernels::HeadKernels& kernels, std::size_t rows, std::size_t cols,
                                   std::span<std::uint8_t> memory) noexcept;

/// Quantizes rows [row_begin, row_end) of a float matrix. Returns the first row with a weight that is not finite.
///
/// Shapes    scratch: (cols)
std::optional<std::size_t> quantize_rows(const DenseMatrix& matrix, std::size_t row_begin, std::size_t row_end,
                                         float* scratch, const HeadMatrix& head);

/// y = head @ x.  x: (n_tokens, cols); y: (n_tokens, rows)
/// Exact     independent of the number of threads, of how tokens are batched, and of the instruction set
void project_head(const Compute& compute, const HeadMatrix& head, MatrixView x, MatrixView y);

}  // namespace tern::nn
