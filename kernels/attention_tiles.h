#pragma once

#include <cstddef>
#include <cstdint>
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

/// Cache lines that some bytes need.
constexpr std::size_t lines_of(std::size_t bytes) { return (bytes + kCacheLine - 1) / kCacheLine; }

/// What the next phase of this or the next chunk reads, asked for while this one computes: as kRuns streams side by
/// side, of which memory gives more than of one.
struct Ahead {
  static constexpr std::size_t kRuns = 8;
  const std::uint8_t* p;
  std::size_t n_lines;
  std::size_t run;       // bytes from one run to the next
  std::size_t done = 0;  // lines

  Ahead(const std::uint8_t* begin, std::size_t bytes) : p(begin), n_lines(bytes / kCacheLine), run(bytes / kRuns) {}

  /// As much as a step of a product reads: a line of one run after the other, and again from the first.
  template <std::size_t kLines>
  void prefetch() {
    if (done >= n_lines) return;
    for_constants<kLines>([&](auto) {
      __builtin_prefetch(p, 0, 2);
      p += run;
    });
    done += kLines;
    if (done % kRuns < kLines) p -= kRuns * run - kCacheLine;
  }
};

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
