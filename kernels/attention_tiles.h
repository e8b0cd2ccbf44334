#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

/// How the products of attention are cut into tiles that the registers hold: loops whose counts are constants.
namespace tern::kernels {
namespace {

constexpr std::size_t kCacheLine = 64;  // bytes

/// Calls body(0), body(1), ... body(n - 1) with constants: spelled out, so that arrays indexed by them stay in
/// registers.
template <std::size_t n, typename Body>
inline void for_constants(const Body& body) {
  [&]<std::size_t... i>(std::index_sequence<i...>) { (body(std::integral_constant<std::size_t, i>{}), ...); }
  (std::make_index_sequence<n>{});
}

/// The most groups of columns a tile has: a head of 128 columns.
constexpr std::size_t kMaxTileColumns = 8;

/// Groups that a product of n_rows rows computes together, where registers hold `n_sums` groups of sums.
constexpr std::size_t groups_for(std::size_t n_rows, std::size_t n_sums) {
  return n_sums / n_rows < kMaxTileColumns ? n_sums / n_rows : kMaxTileColumns;
}

/// Calls body(row, count) with constant counts, powers of two up to `count`, until the rows below n are covered; the
/// last call may go beyond n, to rows_covered(n).
template <std::size_t count, typename Body>
void cover_rows(std::size_t row, std::size_t n, const Body& body) {
  for (; row + count / 2 < n; row += count) body(row, std::integral_constant<std::size_t, count>{});
  if constexpr (count > 1) cover_rows<count / 2>(row, n, body);
}

template <std::size_t count>
constexpr std::size_t rows_covered(std::size_t n) {
  const std::size_t rest = n % count;
  std::size_t last = rest == 0 ? 0 : 1;
  while (last < rest) last *= 2;
  return n - rest + last;
}

/// Calls body(group, count) with constant counts for groups 0 .. n - 1.
template <std::size_t count, typename Body>
void cover_groups(std::size_t n, const Body& body) {
  std::size_t group = 0;
  for (; group + count <= n; group += count) body(group, std::integral_constant<std::size_t, count>{});
  for (; group < n; ++group) body(group, std::integral_constant<std::size_t, 1>{});
}

}  // namespace
}  // namespace tern::kernels
