#pragma once

// Decoding from layout e5 by looking up tables of sums (addsub_e5_tables.h). Included by the add/subtract kernel for
// AVX-512 VBMI; all names are local to the including file (see kernels.h).
//
// Several row blocks are read side by side: the memory delivers that many ascending streams sooner than one, and the
// tables of a chunk of groups stay in registers from block to block, while the sums of the blocks wait in the first
// cache. Tokens take turns chunk by chunk, so that weights are read from memory once.

#include "kernels/addsub_e5_tables.h"
#include "kernels/weights_at.h"

namespace tern::kernels {
namespace {
namespace e5_decode {

using e5_tables::kGroupBias;
using e5_tables::kGroupBytes;
using e5_tables::kMaxGroupSum;
using e5_tables::kValuesBytes;

constexpr std::size_t kChunkGroups = 3;  // groups summed in bytes before they are widened to 16 bits
static_assert(kChunkGroups * kMaxGroupSum <= 255, "a byte sum would overflow: 3 * 80 = 240");

constexpr std::size_t kRunGroups = 810;  // groups summed in 16 bits before they are widened to 32
static_assert(kRunGroups * kMaxGroupSum <= 65535, "a 16-bit sum would overflow: 810 * 80 = 64800");
static_assert(kRunGroups % kChunkGroups == 0, "only the last run of a row may have a remainder");

static_assert(kRunGroups * kMaxGroupSum * 17 < (std::size_t{1} << 31),
              "low + 16 * high, both biased, would leave 32 bits: 810 * 80 * 17 = 1.1e6");

constexpr std::size_t kBlocks = 8;  // row blocks read side by side
constexpr std::size_t kTokens = 8;  // tokens that share them

// Two prefetches a cache line: a far one into the second cache, which hides the memory, and a near one into the first.
// Every stream runs ahead by as much.
constexpr std::size_t kFarBytes = 2048;  // bytes
constexpr std::size_t kNearBytes = 512;  // bytes

#ifdef TERN_DCHECKS
inline void check(bool holds) {
  if (!holds) __builtin_trap();
}
#else
inline void check(bool /*holds*/) {}
#endif

/// Adds bytes whose sums do not overflow (kChunkGroups). Saturation, which therefore never happens, has this addition
/// executed beside `vpermb` and not in its place.
inline __m512i add8(__m512i a, __m512i b) {
  const __m512i sum = _mm512_adds_epu8(a, b);
#ifdef TERN_DCHECKS
  check(_mm512_cmpneq_epi8_mask(sum, _mm512_add_epi8(a, b)) == 0);
#endif
  return sum;
}

/// Sums of bytes in 16-bit lanes: `all` adds whole lanes (even byte + 256 * odd byte, modulo 2^16), `odd` the odd
/// bytes.
struct WideSums {
  __m512i all, odd;

  void add(__m512i bytes) {
    const __m512i odd_bytes = _mm512_srli_epi16(bytes, 8);
#ifdef TERN_DCHECKS
    const __m512i even_bytes = _mm512_and_si512(bytes, _mm512_set1_epi16(255));
    check(_mm512_cmpneq_epi16_mask(_mm512_adds_epu16(evens(), even_bytes), _mm512_add_epi16(evens(), even_bytes)) == 0);
    check(_mm512_cmpneq_epi16_mask(_mm512_adds_epu16(odd, odd_bytes), _mm512_add_epi16(odd, odd_bytes)) == 0);
#endif
    all = _mm512_add_epi16(all, bytes);
    odd = _mm512_add_epi16(odd, odd_bytes);
  }
  /// Exact since the true sum is below 2^16 (kRunGroups).
  [[nodiscard]] __m512i evens() const { return _mm512_sub_epi16(all, _mm512_slli_epi16(odd, 8)); }
};

/// The sums of 64 rows with one token.
struct RowSums {
  WideSums low, high;
};

/// A thread's own memory.
struct Scratch {
  RowSums rows[kTokens][kBlocks];
  alignas(64) std::int32_t sums[kTokens][kBlocks * e5::kRows];
};

/// Some groups of up to kBlocks row blocks, and the operands of up to kTokens tokens.
struct Run {
  const std::uint8_t* weights;
  std::size_t n_groups;
  std::size_t n_blocks;
  std::size_t block_bytes;  // from one row block to the next
  std::size_t jump_bytes;   // from the end of each block's groups to where its stream goes on
  const std::uint8_t* values;
  std::size_t n_tokens;
  std::size_t token_bytes;  // from one token's values to the next's
};

/// The value itself, in a register: the compiler would rather load or compute it once more for each use.
inline __m512i kept(__m512i v) {
  asm("" : "+v"(v));
  return v;
}

inline __m512i look_up(__m512i index, __m512i table) { return _mm512_permutexvar_epi8(index, table); }

/// The tables of a chunk.
template <std::size_t kGroups>
struct ChunkTables {
  __m512i low_a[kGroups], low_b[kGroups], high_a[kGroups], high_b[kGroups];

  explicit ChunkTables(const std::uint8_t* values) {
    const __m512i a = e5_tables::load(e5_tables::kTables.a);
    const __m512i b = e5_tables::load(e5_tables::kTables.b);
#pragma GCC unroll 3
    for (std::size_t i = 0; i < kGroups; ++i, values += kGroupBytes) {
      const __m512i low = _mm512_load_si512(values);
      const __m512i high = _mm512_load_si512(values + kValuesBytes);
      _mm_prefetch(values + 2 * kChunkGroups * kGroupBytes, _MM_HINT_T0);
      _mm_prefetch(values + 2 * kChunkGroups * kGroupBytes + kValuesBytes, _MM_HINT_T0);
      low_a[i] = kept(look_up(a, low));
      low_b[i] = kept(look_up(b, low));
      high_a[i] = kept(look_up(a, high));
      high_b[i] = kept(look_up(b, high));
    }
  }
};

/// Adds a chunk of groups of all blocks for one token. far_bytes: how far ahead to prefetch
template <std::size_t kGroups, bool kPrefetch>
inline void add_chunk(const Run& run, const std::uint8_t* weights, const std::uint8_t* values, std::size_t far_bytes,
                      RowSums* rows) {
  const ChunkTables<kGroups> tables(values);
  for (std::size_t b = 0; b < run.n_blocks; ++b, weights += run.block_bytes) {
    __m512i low = {};
    __m512i high = {};
#pragma GCC unroll 3
    for (std::size_t i = 0; i < kGroups; ++i) {
      const std::uint8_t* group = weights + i * e5::kRows;
      if constexpr (kPrefetch) {
        _mm_prefetch(group + far_bytes, _MM_HINT_T1);
        _mm_prefetch(group + kNearBytes, _MM_HINT_T0);
      }
      const __m512i codes = kept(_mm512_load_si512(group));
      const __m512i shifted = _mm512_srli_epi16(codes, 2);  // vpermb ignores the two bits of the neighbour
      const __m512i low_a = look_up(shifted, tables.low_a[i]);
      const __m512i high_a = look_up(shifted, tables.high_a[i]);
      low = add8(i == 0 ? low_a : add8(low, low_a), look_up(codes, tables.low_b[i]));
      high = add8(i == 0 ? high_a : add8(high, high_a), look_up(codes, tables.high_b[i]));
    }
    rows[b].low.add(low);
    rows[b].high.add(high);
  }
}

/// Adds the groups [group, group + kGroups) of all blocks for all tokens.
template <std::size_t kGroups>
inline void add_tokens(const Run& run, std::size_t group, Scratch& scratch) {
  const std::uint8_t* weights = run.weights + group * e5::kRows;
  const std::uint8_t* values = run.values + group * kGroupBytes;
  // Towards the end of the streams, what comes next is where they go on.
  const bool jumps = group * e5::kRows + kFarBytes >= run.n_groups * e5::kRows;
  add_chunk<kGroups, true>(run, weights, values, kFarBytes + (jumps ? run.jump_bytes : 0), scratch.rows[0]);
  for (std::size_t t = 1; t < run.n_tokens; ++t) {
    add_chunk<kGroups, false>(run, weights, values + t * run.token_bytes, 0, scratch.rows[t]);
  }
}

void add_run(const Run& run, Scratch& scratch) {
  std::memset(scratch.rows, 0, sizeof scratch.rows[0] * run.n_tokens);
  std::size_t group = 0;
  for (; group + kChunkGroups <= run.n_groups; group += kChunkGroups) add_tokens<kChunkGroups>(run, group, scratch);
  for (; group < run.n_groups; ++group) add_tokens<1>(run, group, scratch);
}

/// Turns the sums of a row block over `n_groups` groups into sums of 32 bits without bias, which are added to `sums`
/// unless they are the first. sums: (64)
void drain(const RowSums& rows, std::size_t n_groups, bool first, std::int32_t* sums) {
  const __m512i bias = _mm512_set1_epi32(static_cast<int>(n_groups) * kGroupBias * 17);
  const __m512i low[2] = {rows.low.evens(), rows.low.odd};
  const __m512i high[2] = {rows.high.evens(), rows.high.odd};
  __m512i bytes[4];  // the sums of byte 4 d + i of every group, in lane d: row 16 (d % 4) + 4 (d / 4) + i
  for (std::size_t i = 0; i < 4; ++i) {
    const auto widen = [i](__m512i v) {
      return i < 2 ? _mm512_and_si512(v, _mm512_set1_epi32(65535)) : _mm512_srli_epi32(v, 16);
    };
    const __m512i sum = _mm512_add_epi32(widen(low[i % 2]), _mm512_slli_epi32(widen(high[i % 2]), 4));
    bytes[i] = _mm512_sub_epi32(sum, bias);
  }
  const __m512i d01[2] = {_mm512_unpacklo_epi32(bytes[0], bytes[1]), _mm512_unpackhi_epi32(bytes[0], bytes[1])};
  const __m512i d23[2] = {_mm512_unpacklo_epi32(bytes[2], bytes[3]), _mm512_unpackhi_epi32(bytes[2], bytes[3])};
  const __m512i rows16[4] = {_mm512_unpacklo_epi64(d01[0], d23[0]), _mm512_unpackhi_epi64(d01[0], d23[0]),
                             _mm512_unpacklo_epi64(d01[1], d23[1]), _mm512_unpackhi_epi64(d01[1], d23[1])};
  for (std::size_t i = 0; i < 4; ++i, sums += 16) {
    _mm512_store_si512(sums, first ? rows16[i] : _mm512_add_epi32(_mm512_load_si512(sums), rows16[i]));
  }
}

/// How many of `n` things to take at a time: all if they are not above `most`, else in shares that are about equal.
constexpr std::size_t even_share(std::size_t n, std::size_t most) {
  if (n <= most) return most;
  const std::size_t n_shares = (n + most - 1) / most;
  return (n + n_shares - 1) / n_shares;
}

/// Row blocks and tokens of a product that are computed together: at most kBlocks and kTokens.
struct Part {
  std::size_t block, n_blocks;
  std::size_t token, n_tokens;
};

/// Leaves the sums of a part in the scratch memory.
void multiply_part(const TernaryProduct& p, const Part& part, Scratch& scratch) {
  const std::size_t n_groups = e5::n_groups(p.cols);
  const std::size_t block_bytes = e5::block_bytes(p.cols);
  const std::size_t stride = p.n_col_blocks * block_bytes;
  const bool last_cols = p.col_block + 1 == p.n_col_blocks;
  const std::size_t step = (even_share(n_groups, kRunGroups) + kChunkGroups - 1) / kChunkGroups * kChunkGroups;
  for (std::size_t group = 0; group < n_groups; group += step) {
    const bool last = n_groups - group <= step;
    const Run run = {.weights = weights_at(p, part.block, block_bytes) + group * e5::kRows,
                     .n_groups = last ? n_groups - group : step,
                     .n_blocks = part.n_blocks,
                     .block_bytes = stride,
                     .jump_bytes = last && last_cols ? (part.n_blocks - 1) * stride : 0,
                     .values = p.operand + (part.token * n_groups + group) * kGroupBytes,
                     .n_tokens = part.n_tokens,
                     .token_bytes = n_groups * kGroupBytes};
    add_run(run, scratch);
    for (std::size_t t = 0; t < part.n_tokens; ++t) {
      for (std::size_t b = 0; b < part.n_blocks; ++b) {
        drain(scratch.rows[t][b], run.n_groups, group == 0, scratch.sums[t] + b * e5::kRows);
      }
    }
  }
}

// --- routine ----------------------------------------------------------------------------------------------------

std::size_t operand_bytes(std::size_t n_tokens, std::size_t cols) {
  return n_tokens * e5::n_groups(cols) * kGroupBytes;
}

/// Each part takes a range of spans, those of one token after those of the other.
void prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part, std::size_t n_parts,
             std::uint8_t* operand) {
  const std::size_t n_spans = e5::n_spans(cols);
  const std::size_t end = n_tokens * n_spans * (part + 1) / n_parts;
  for (std::size_t i = n_tokens * n_spans * part / n_parts; i < end; ++i) {
    const std::size_t token = i / n_spans;
    const std::size_t span = i % n_spans;
    e5_tables::prepare_span(x + token * cols + span * e5::kSpanCols, cols - span * e5::kSpanCols,
                            operand + (token * e5::n_groups(cols) + span * e5::kSpanGroups) * kGroupBytes);
  }
}

std::size_t scratch_bytes(std::size_t /*cols*/) { return sizeof(Scratch); }

/// A thread's whole share, so that its streams are long.
Grain grain(std::size_t n_tokens, std::size_t /*cols*/) {
  return {8 * kBlocks * e5::kRows, n_tokens, kBlocks * e5::kRows};
}

void multiply(const TernaryProduct& p) {
  auto& scratch = *reinterpret_cast<Scratch*>(p.scratch);
  const std::size_t begin = p.row_begin / e5::kRows;
  const std::size_t end = (p.row_end + e5::kRows - 1) / e5::kRows;
  const std::size_t step_blocks = even_share(end - begin, kBlocks);
  const std::size_t step_tokens = even_share(p.token_end - p.token_begin, kTokens);
  for (std::size_t block = begin; block < end; block += step_blocks) {
    const std::size_t n_blocks = end - block < step_blocks ? end - block : step_blocks;
    const std::size_t row = block * e5::kRows;
    const std::size_t n_rows = p.row_end - row < n_blocks * e5::kRows ? p.row_end - row : n_blocks * e5::kRows;
    for (std::size_t token = p.token_begin; token < p.token_end; token += step_tokens) {
      const std::size_t n_tokens = p.token_end - token < step_tokens ? p.token_end - token : step_tokens;
      multiply_part(p, {block, n_blocks, token, n_tokens}, scratch);
      for (std::size_t t = 0; t < n_tokens; ++t) {
        p.sink.take(p.sink.context, token + t, row, n_rows, scratch.sums[t]);
      }
    }
  }
}

}  // namespace e5_decode
}  // namespace
}  // namespace tern::kernels
