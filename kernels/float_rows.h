#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/float_group.h"

/// Products of a matrix of floats or halves with a vector, from either side, once for any instruction set.
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

/// The rows of a weighted sum.
template <typename Element>
struct WeightedRows {
  const Element* rows;  // (n_rows, n)
  std::size_t stride;   // elements
  std::size_t n_rows;
  const float* weights;  // (n_rows)
};

/// Columns [column, column + n_groups * 16), which stay in registers over all rows.
template <typename Isa, std::size_t n_groups, typename Element, typename Part>
void weighted_columns(const WeightedRows<Element>& in, std::size_t column, Part part, float* y) {
  Group<Isa> sums[n_groups];
  for (Group<Isa>& sum : sums) sum = broadcast<Isa>(0.0f);
  for (std::size_t i = 0; i < in.n_rows; ++i) {
    const Group<Isa> weight = broadcast<Isa>(in.weights[i]);
    const Element* row = in.rows + i * in.stride + column;
    for (std::size_t g = 0; g < n_groups; ++g) sums[g] = sums[g] + weight * load<Isa>(row + g * kLanes, part);
  }
  for (std::size_t g = 0; g < n_groups; ++g) store(y + column + g * kLanes, part, sums[g]);
}

template <typename Isa, typename Element>
void weighted_sum(const Element* rows, std::size_t stride, std::size_t n_rows, const float* weights, std::size_t n,
                  float* y) {
  const WeightedRows<Element> in{.rows = rows, .stride = stride, .n_rows = n_rows, .weights = weights};
  constexpr std::size_t kWide = Isa::kSumGroups * kLanes;
  std::size_t column = 0;
  for (; column + kWide <= n; column += kWide) weighted_columns<Isa, Isa::kSumGroups>(in, column, Whole{}, y);
  for (; column + kLanes <= n; column += kLanes) weighted_columns<Isa, 1>(in, column, Whole{}, y);
  if (column < n) weighted_columns<Isa, 1>(in, column, Tail{n - column}, y);
}

}  // namespace
}  // namespace tern::kernels
