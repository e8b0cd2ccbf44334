#pragma once

// Decoding with tables of sums, for any vector width. Included by the add/subtract kernels, each of which gives its
// vectors as a class V; all names are local to the including file (see kernels.h).
//
// A nibble of a packed byte selects an entry of a table of sums (addsub_tables.h); one instruction looks up 16 to 64
// rows. Entries are positive, so that byte sums can be widened by treating the odd bytes as high parts.

#include <cstring>

#include "kernels/addsub_tables.h"
#include "kernels/block_ahead.h"
#include "kernels/block_scales.h"
#include "kernels/layout_rows64.h"

namespace tern::kernels {
namespace {

constexpr int kMaxGroupSum = 2 * kMaxEntry;  // two nibbles a byte: 64
constexpr int kGroupBias = 2 * kEntryBias;   // 32 in the sum of the low halves, and 32 in that of the high halves

constexpr std::size_t kChunkGroups = 3;  // groups summed in bytes before they are widened to 16 bits
static_assert(kChunkGroups * kMaxGroupSum <= 255, "a byte sum would overflow: 3 * 64 = 192");
static_assert(rows64::kGroupsPadding % kChunkGroups == 0, "chunks would have a remainder");

constexpr std::size_t kSpanGroups = 1020;  // groups summed in 16 bits before they are widened to 32
static_assert(kSpanGroups * kMaxGroupSum <= 65535, "a 16-bit sum would overflow: 1020 * 64 = 65280");
static_assert(kSpanGroups % rows64::kGroupsPadding == 0, "spans would have a remainder");

// Sixteen registers hold the sums of 32 rows, not those of 64: where a block is two vectors, they take turns in runs
// that stay in the first cache.
constexpr std::size_t kRunGroups = 48;
static_assert(kRunGroups % rows64::kGroupsPadding == 0, "runs would have a remainder");

static_assert(kMaxCols / rows64::kGroupCols * kMaxGroupSum * 17 < (std::size_t{1} << 31),
              "low + 16 * high, both biased, would leave 32 bits: 2^20 * 64 * 17 = 1.14e9");

// Each line is fetched twice: into the second cache while the block before it is computed (block_ahead.h), which hides
// the memory, and into the first this far ahead.
constexpr std::size_t kNearBytes = 1024;

// --- product ----------------------------------------------------------------------------------------------------

/// Sums of bytes in 16-bit lanes: `all` adds whole lanes (even byte + 256 * odd byte, modulo 2^16), `odd` the odd
/// bytes.
template <class V>
struct WideSums {
  V all = V::zero();
  V odd = V::zero();

  void add(V bytes) {
    all = V::add16(all, bytes);
    odd = V::add16(odd, V::high_bytes(bytes));
  }
  /// Exact since both true sums are below 2^16 (kSpanGroups).
  void store(std::uint16_t* evens, std::uint16_t* odds) const {
    V::sub16(all, V::shift_left_8(odd)).store(evens);
    odd.store(odds);
  }
};

/// The sums of a block's 64 rows over one span, by halves and by even and odd rows.
struct SpanSums {
  alignas(64) std::uint16_t low_even[rows64::kRows / 2];
  alignas(64) std::uint16_t low_odd[rows64::kRows / 2];
  alignas(64) std::uint16_t high_even[rows64::kRows / 2];
  alignas(64) std::uint16_t high_odd[rows64::kRows / 2];
};

/// Traps where a sum of `n_groups` groups is beyond its bound; does nothing in a release.
inline void check_sums([[maybe_unused]] const SpanSums& sums, [[maybe_unused]] std::size_t n_groups) {
#ifdef TERN_DCHECKS
  const std::size_t max = n_groups * kMaxGroupSum;
  for (std::size_t i = 0; i < rows64::kRows / 2; ++i) {
    if (sums.low_even[i] > max || sums.low_odd[i] > max) __builtin_trap();
    if (sums.high_even[i] > max || sums.high_odd[i] > max) __builtin_trap();
  }
#endif
}

/// Adds kChunkGroups groups for the rows of one vector.
template <class V>
inline void add_chunk(const std::uint8_t* weights, const std::uint8_t* tables, WideSums<V>& low, WideSums<V>& high) {
  V low_bytes = V::zero();
  V high_bytes = V::zero();
  for (std::size_t i = 0; i < kChunkGroups; ++i) {
    const V codes = V::load(weights + i * rows64::kRows);
    const V first = V::low_nibbles(codes);
    const V second = V::high_nibbles(codes);
    const std::uint8_t* t = tables + i * kTablesBytes;
    low_bytes = V::add8(low_bytes, V::add8(V::look_up(t, first), V::look_up(t + kTableBytes, second)));
    high_bytes =
        V::add8(high_bytes, V::add8(V::look_up(t + 2 * kTableBytes, first), V::look_up(t + 3 * kTableBytes, second)));
    V::complete(low_bytes, high_bytes);
  }
  low.add(low_bytes);
  high.add(high_bytes);
}

/// Groups of one block of rows and the tables that they meet.
struct Groups {
  const std::uint8_t* weights;
  const std::uint8_t* tables;
  std::size_t n;
  BlockAhead* ahead;  // null for tokens that come after the first
};

/// Adds a run of groups for the rows of one vector of a block.
template <class V, bool kPrefetch>
inline void add_run(const Groups& groups, WideSums<V>& low, WideSums<V>& high) {
  const std::uint8_t* weights = groups.weights;
  const std::uint8_t* tables = groups.tables;
  WideSums<V> low_sums = low;  // in registers
  WideSums<V> high_sums = high;
  for (std::size_t g = 0; g < groups.n; g += kChunkGroups) {
    for (std::size_t i = 0; kPrefetch && i < kChunkGroups; ++i) {
      __builtin_prefetch(weights + i * rows64::kRows + kNearBytes, 0, 3);
    }
    const bool fetches = kPrefetch && g % BlockAhead::kRuns < kChunkGroups;  // as many lines as are read
    if (fetches && groups.ahead != nullptr) groups.ahead->fetch();
    add_chunk(weights, tables, low_sums, high_sums);
    weights += kChunkGroups * rows64::kRows;
    tables += kChunkGroups * kTablesBytes;
  }
  low = low_sums;
  high = high_sums;
}

/// Sums at most kSpanGroups groups of one block of rows.
template <class V>
void sum_span(const Groups& span, SpanSums& sums) {
  constexpr std::size_t kVectors = rows64::kRows / V::kBytes;
  WideSums<V> low[kVectors];
  WideSums<V> high[kVectors];
  for (std::size_t begin = 0; begin < span.n; begin += kRunGroups) {
    Groups run = {span.weights + begin * rows64::kRows, span.tables + begin * kTablesBytes,
                  span.n - begin < kRunGroups ? span.n - begin : kRunGroups, span.ahead};
    for (std::size_t v = 0; v < kVectors; ++v, run.weights += V::kBytes) {
      const auto add = v == 0 ? add_run<V, true> : add_run<V, false>;
      add(run, low[v], high[v]);
    }
  }
  for (std::size_t v = 0; v < kVectors; ++v) {
    const std::size_t at = v * V::kBytes / 2;
    low[v].store(sums.low_even + at, sums.low_odd + at);
    high[v].store(sums.high_even + at, sums.high_odd + at);
  }
}

/// sums: (64), the products of one block of rows with one token.
template <class V>
void multiply_block(const Groups& block, std::int32_t* sums) {
  std::memset(sums, 0, rows64::kRows * sizeof *sums);
  for (std::size_t begin = 0; begin < block.n; begin += kSpanGroups) {
    const std::size_t n = block.n - begin < kSpanGroups ? block.n - begin : kSpanGroups;
    const auto bias = static_cast<std::int32_t>(n * kGroupBias * 17);  // low + 16 * high
    SpanSums span;
    sum_span<V>({block.weights + begin * rows64::kRows, block.tables + begin * kTablesBytes, n, block.ahead}, span);
    check_sums(span, n);
    for (std::size_t i = 0; i < rows64::kRows / 2; ++i) {
      sums[2 * i] += span.low_even[i] + (span.high_even[i] << 4U) - bias;
      sums[2 * i + 1] += span.low_odd[i] + (span.high_odd[i] << 4U) - bias;
    }
  }
}

/// Sums of so few columns fit in 16 bits, as they are in blocks with scales of their own.
constexpr std::size_t kFewCols = 256;
static_assert(kFewCols * 127 <= 32767, "a 16-bit sum would overflow: 256 * 127 = 32512");

/// Groups in whole chunks, without the rest of the padding.
constexpr std::size_t chunk_groups(std::size_t cols) {
  constexpr std::size_t kChunkCols = kChunkGroups * rows64::kGroupCols;
  return (cols + kChunkCols - 1) / kChunkCols * kChunkGroups;
}

/// Sums of the even rows of one vector and of the odd rows, all with their bias, modulo 2^16.
template <class V>
inline void store_sums(const WideSums<V>& low, const WideSums<V>& high, std::uint16_t* evens, std::uint16_t* odds) {
  const V low_evens = V::sub16(low.all, V::shift_left_8(low.odd));
  const V high_evens = V::sub16(high.all, V::shift_left_8(high.odd));
  V::add16(low_evens, V::shift_left(high_evens, 4)).store(evens);
  V::add16(low.odd, V::shift_left(high.odd, 4)).store(odds);
}

/// As multiply_block() for kFewCols at most: short blocks spend much of their time on what follows the look-ups.
template <class V>
inline void multiply_short_block(const Groups& block, std::int32_t* sums) {
  alignas(64) std::uint16_t evens[rows64::kRows / 2];
  alignas(64) std::uint16_t odds[rows64::kRows / 2];
  Groups part = block;
  for (std::size_t at = 0; at < rows64::kRows / 2; at += V::kBytes / 2, part.weights += V::kBytes) {
    WideSums<V> low;
    WideSums<V> high;
    if (at == 0) {
      add_run<V, true>(part, low, high);
    } else {
      add_run<V, false>(part, low, high);
    }
    store_sums(low, high, evens + at, odds + at);
  }
  const auto bias = static_cast<std::uint16_t>(block.n * kGroupBias * 17);  // low + 16 * high
  for (std::size_t i = 0; i < rows64::kRows / 2; ++i) {
    sums[2 * i] = static_cast<std::int16_t>(evens[i] - bias);
    sums[2 * i + 1] = static_cast<std::int16_t>(odds[i] - bias);
  }
}

std::size_t decode_scratch_bytes(std::size_t /*cols*/) { return 0; }

/// Long enough for the threads to share work out cheaply, short enough to share it out evenly.
Grain decode_grain(std::size_t n_tokens, std::size_t /*cols*/) { return {4 * rows64::kRows, n_tokens, rows64::kRows}; }

/// One block of rows of a product. take(token, n_rows, sums)
template <class V, class Take>
void multiply_rows(const TernaryProduct& p, std::size_t row, BlockAhead& ahead, const Take& take) {
  const std::size_t n_groups = rows64::n_groups(p.cols);
  const std::uint8_t* weights = weights_at(p, row / rows64::kRows, rows64::block_bytes(p.cols));
  const std::size_t n_rows = p.row_end - row < rows64::kRows ? p.row_end - row : rows64::kRows;
  for (std::size_t t = p.token_begin; t < p.token_end; ++t) {
    alignas(64) std::int32_t sums[rows64::kRows];
    Groups block = {weights, p.operand + t * n_groups * kTablesBytes, n_groups, t == p.token_begin ? &ahead : nullptr};
    if (p.cols <= kFewCols) {
      block.n = chunk_groups(p.cols);
      multiply_short_block<V>(block, sums);
    } else {
      multiply_block<V>(block, sums);
    }
    take(t, n_rows, sums);
  }
}

template <class V>
void decode_multiply(const TernaryProduct& p) {
  for (std::size_t row = p.row_begin; row < p.row_end; row += rows64::kRows) {
    BlockAhead ahead = ahead_of(p, row / rows64::kRows, rows64::block_bytes(p.cols));
    multiply_rows<V>(p, row, ahead, [&](std::size_t token, std::size_t n_rows, const std::int32_t* sums) {
      p.sink.take(p.sink.context, token, row, n_rows, sums);
    });
  }
}

template <class V>
void decode_multiply_scaled(const TernaryProduct& product, const BlockScales& scales) {
  for (std::size_t row = product.row_begin; row < product.row_end; row += rows64::kRows) {
    BlockAhead ahead = ahead_of(product, row / rows64::kRows, rows64::block_bytes(product.cols));
    for (std::size_t b = 0; b < product.n_col_blocks; ++b) {
      const TernaryProduct p = at_block(product, scales, b);
      fetch_row_scales(scales, b, row + rows64::kRows, rows64::kRows);
      multiply_rows<V>(p, row, ahead, [&](std::size_t token, std::size_t n_rows, const std::int32_t* sums) {
        add_to_results(p, scales, token, row, n_rows, sums);
      });
    }
  }
}

}  // namespace
}  // namespace tern::kernels
