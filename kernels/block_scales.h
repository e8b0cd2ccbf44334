#pragma once

// Products of matrices with scales per block of columns (BlockScales). Included by kernels; all names are local to the
// including file (see kernels.h).

#include <cstring>

#include "kernels/kernels.h"

namespace tern::kernels {
namespace {

/// The product with block of columns `block` of those that a product begins with.
[[nodiscard]] inline TernaryProduct at_block(const TernaryProduct& product, const BlockScales& scales,
                                             std::size_t block) {
  TernaryProduct p = product;
  p.col_block = block;
  p.operand += block * scales.operand_bytes;
  return p;
}

/// Scales and adds the sums of rows from `row` on with one token, of a product at a block of columns, to its results.
inline void add_to_results(const TernaryProduct& p, const BlockScales& scales, std::size_t token, std::size_t row,
                           std::size_t n_rows, const std::int32_t* sums) {
  const std::uint16_t* row_scales = scales.row_scales + p.col_block * scales.n_rows + row;
  scales.add_scaled_sums(sums, n_rows, static_cast<float>(scales.steps[p.col_block * p.n_tokens + token]), row_scales,
                         p.col_block > 0, scales.y + token * scales.stride + row);
}

/// Fetches the scales of rows that come next: those of different blocks lie far from each other.
inline void fetch_row_scales(const BlockScales& scales, std::size_t block, std::size_t row, std::size_t n_rows) {
  constexpr std::size_t kLine = 64 / sizeof(std::uint16_t);
  const std::uint16_t* next = scales.row_scales + block * scales.n_rows + row;
  for (std::size_t i = 0; i < n_rows; i += kLine) __builtin_prefetch(next + i);
}

/// The scales of kRows rows from `row` on, in memory; where there are fewer rows, in `padded`.
template <std::size_t kRows>
inline const std::uint16_t* row_scales_at(const BlockScales& s, std::size_t block, std::size_t row,
                                          std::uint16_t (&padded)[kRows]) {
  const std::uint16_t* scales = s.row_scales + block * s.n_rows + row;
  fetch_row_scales(s, block, row + kRows, kRows);
  if (s.n_rows - row >= kRows) return scales;
  std::memset(padded, 0, sizeof padded);
  std::memcpy(padded, scales, (s.n_rows - row) * sizeof *scales);
  return padded;
}

/// Copies totals to results: a number of rows that the compiler knows, but for the last ones.
template <std::size_t kRows>
inline void copy_rows(const float* totals, std::size_t n_rows, float* y) {
  if (n_rows == kRows) {
    std::memcpy(y, totals, kRows * sizeof *y);
  } else {
    std::memcpy(y, totals, n_rows * sizeof *y);
  }
}

}  // namespace
}  // namespace tern::kernels
