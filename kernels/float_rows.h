#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/float_group.h"

/// Products of a matrix of floats or halves with a vector, once for any instruction set.
///
/// Element is float or std::uint16_t (a half); `stride` counts elements from row to row.
namespace tern::kernels {
namespace {

/// Rows at least this long (elements) ask for the same place of the next block while this one is worked on: the head of
/// a language model is read from memory, and hardware prefetchers alone lose a quarter of its bandwidth where one
/// row ends and the next begins. Into L2, and past the end of the matrix it does nothing. Attention's rows are shorter
/// and come from the caches.
inline constexpr std::size_t kPrefetchMinColumns = 512;

/// y[r] = rows[r] . x for the n_rows rows of one block, side by side so that their sums do not wait for each other.
template <typename Isa, std::size_t n_rows, bool prefetch, typename Element>
void dot_block(const Element* rows, std::size_t stride, const float* x, std::size_t n, float* y) {
  Group<Isa> sums[n_rows];
  for (Group<Isa>& sum : sums) sum = broadcast<Isa>(0.0f);
  for_each_group(n, [&](std::size_t i, auto part) {
    const Group<Isa> values = load<Isa>(x + i, part);
    for (std::size_t r = 0; r < n_rows; ++r) {
      const Element* row = rows + r * stride + i;
      if constexpr (prefetch) __builtin_prefetch(row + n_rows * stride, 0, 2);
      sums[r] = sums[r] + load<Isa>(row, part) * values;
    }
  });
  if constexpr (n_rows == Isa::kDotRows) {
    Isa::store_sums(sums, y);
  } else {
    for (std::size_t r = 0; r < n_rows; ++r) y[r] = Isa::sum(sums[r]);
  }
}

template <typename Isa, bool prefetch, typename Element>
void dot_blocks(const Element* rows, std::size_t stride, std::size_t n_rows, const float* x, std::size_t n, float* y) {
  std::size_t r = 0;
  for (; r + Isa::kDotRows <= n_rows; r += Isa::kDotRows) {
    dot_block<Isa, Isa::kDotRows, prefetch>(rows + r * stride, stride, x, n, y + r);
  }
  for (; r < n_rows; ++r) dot_block<Isa, 1, prefetch>(rows + r * stride, stride, x, n, y + r);
}

template <typename Isa, typename Element>
void dot_rows(const Element* rows, std::size_t stride, std::size_t n_rows, const float* x, std::size_t n, float* y) {
  if (n >= kPrefetchMinColumns) {
    dot_blocks<Isa, true>(rows, stride, n_rows, x, n, y);
  } else {
    dot_blocks<Isa, false>(rows, stride, n_rows, x, n, y);
  }
}

}  // namespace
}  // namespace tern::kernels
