#pragma once

// Decoding from layout e5 with tables of sums. Included by the add/subtract kernel for AVX-512 VBMI; all names are
// local to the including file (see kernels.h).
//
// A byte of five trits stands for a sum over five activations that splits into two tables of 64 entries (layout_e5.h),
// and `vpermb` looks up 64 rows at once, but only bytes. So an activation is split into x = 16 * high + low with low in
// [-8, 7] and high in [-8, 8], and each half has its own tables, made once for all rows by additions:
//
//     tables of a group, bytes   | low: A, 64 | low: B, 64 | high: A, 64 | high: B, 64 |
//
// A is a sum of at most three halves and B of at most two. A bias makes both positive, so that byte sums can be widened
// by treating the odd bytes as high parts.

#include <immintrin.h>

#include <cstring>

#include "kernels/layout_e5.h"

namespace tern::kernels {
namespace {
namespace e5_decode {

constexpr std::size_t kTableBytes = 64;
constexpr std::size_t kTablesBytes = 4 * kTableBytes;  // of a group

constexpr int kMaxHalf = 8;                           // |low|, |high| <= 8 for |x| <= 127
constexpr int kOneBias = kMaxHalf;                    // one half: [-8, 8] becomes [0, 16]
constexpr int kPairBias = 2 * kMaxHalf;               // sum of two: [-16, 16] becomes [0, 32]
constexpr int kGroupBias = kOneBias + 2 * kPairBias;  // 40: A is one half and a pair, B a pair
constexpr int kMaxGroupSum = 2 * kGroupBias;          // A + B: 80

constexpr std::size_t kChunkGroups = 3;  // groups summed in bytes before they are widened to 16 bits
static_assert(kChunkGroups * kMaxGroupSum <= 255, "a byte sum would overflow: 3 * 80 = 240");

constexpr std::size_t kRunGroups = 810;  // groups summed in 16 bits before they are widened to 32
static_assert(kRunGroups * kMaxGroupSum <= 65535, "a 16-bit sum would overflow: 810 * 80 = 64800");
static_assert(kRunGroups % kChunkGroups == 0, "only the last run of a row may have a remainder");

static_assert(e5::n_groups(kMaxCols) * kMaxGroupSum * 17 < (std::size_t{1} << 31),
              "low + 16 * high, both biased, would leave 32 bits: 838864 * 80 * 17 = 1.14e9");

// --- tables -----------------------------------------------------------------------------------------------------

// Every entry is a sum of few terms: 0, a half or a pair of halves, with signs. One vector holds all terms of a group,
// those of the low halves in the first 32 bytes, those of the high halves in the others:
//
//     byte      0   1    2     3          8 + v                  16 + v
//     term      0   -x1  +x1   no pair    kPairs[v] . (x2, x3)   kPairs[v] . (x4, x5)
constexpr std::size_t kTermsBytes = 32;  // of one half
constexpr std::uint8_t kNoPair = 3;
constexpr std::uint8_t kSecondPairs = 8;
constexpr std::uint8_t kFourthPairs = 16;

// The halves of a group: low ones of x1, ... x5, three zeros, high ones, three zeros.
constexpr std::size_t kHalvesBytes = 16;
constexpr std::uint8_t kHighHalves = 8;
constexpr std::uint8_t kNoHalf = 5;

/// How the terms follow from the halves, and both tables from the terms: operands of `vpshufb` and `vpermb`.
struct Recipe {
  std::uint8_t first[64];  // the halves that a term adds up
  std::uint8_t second[64];
  std::uint64_t minus_first;  // bit i: term i subtracts it
  std::uint64_t minus_second;
  std::uint8_t bias[64];
  std::uint8_t a_one[64];   // entry i of A is the sum of the terms a_one[i] and a_pair[i], that of B is b[i];
  std::uint8_t a_pair[64];  // these are for the low halves
  std::uint8_t b[64];
};

constexpr void set_terms(Recipe& recipe) {
  for (std::uint8_t i = 0; i < 64; ++i) {
    const std::uint8_t slot = i % kTermsBytes;
    const std::uint8_t high = i < kTermsBytes ? 0 : kHighHalves;
    recipe.first[i] = recipe.second[i] = kNoHalf;
    recipe.bias[i] = slot < kNoPair ? kOneBias : kPairBias;
    int signs[2] = {};
    if (slot == 1 || slot == 2) {
      recipe.first[i] = high;
      signs[0] = slot == 1 ? -1 : 1;
    } else if (slot >= kSecondPairs && slot < kFourthPairs + 8) {
      const int* pair = e5::kPairs[slot % 8];
      const auto column = static_cast<std::uint8_t>(high + (slot < kFourthPairs ? 1 : 3));
      if (pair[0] != 0) recipe.first[i] = column;
      if (pair[1] != 0) recipe.second[i] = static_cast<std::uint8_t>(column + 1);
      signs[0] = pair[0];
      signs[1] = pair[1];
    }
    recipe.minus_first |= static_cast<std::uint64_t>(signs[0] < 0) << i;
    recipe.minus_second |= static_cast<std::uint64_t>(signs[1] < 0) << i;
  }
}

constexpr std::uint8_t one_term(int t1) { return static_cast<std::uint8_t>(t1 == 0 ? 0 : t1 < 0 ? 1 : 2); }

/// At most one of the pairs differs from (0, 0).
constexpr std::uint8_t pair_term(int t2, int t3, int t4, int t5) {
  for (std::uint8_t v = 0; v < 8; ++v) {
    const int* pair = e5::kPairs[v];
    if (pair[0] == t2 && pair[1] == t3) return static_cast<std::uint8_t>(kSecondPairs + v);
    if (pair[0] == t4 && pair[1] == t5) return static_cast<std::uint8_t>(kFourthPairs + v);
  }
  return kNoPair;
}

constexpr Recipe make_recipe() {
  Recipe recipe = {};
  set_terms(recipe);
  // The layout's own tables of each activation alone tell which signs an entry gives it.
  constexpr e5::Tables kSigns[5] = {e5::make_tables(1, 0, 0, 0, 0), e5::make_tables(0, 1, 0, 0, 0),
                                    e5::make_tables(0, 0, 1, 0, 0), e5::make_tables(0, 0, 0, 1, 0),
                                    e5::make_tables(0, 0, 0, 0, 1)};
  for (int i = 0; i < 64; ++i) {
    int a[5] = {};
    int b[5] = {};
    for (int d = 0; d < 5; ++d) {
      a[d] = static_cast<std::int8_t>(kSigns[d].a[i]);
      b[d] = static_cast<std::int8_t>(kSigns[d].b[i]);
    }
    recipe.a_one[i] = one_term(a[0]);
    recipe.a_pair[i] = pair_term(a[1], a[2], a[3], a[4]);
    recipe.b[i] = pair_term(b[1], b[2], b[3], b[4]);
  }
  return recipe;
}

alignas(64) constexpr Recipe kRecipe = make_recipe();

inline __m512i load(const void* p) { return _mm512_loadu_si512(p); }

/// The halves of 64 activations.
struct Halves {
  __m512i low, high;
};

inline Halves split(__m512i x) {
  // high = floor((x + 8) / 16), by way of x + 128 >= 0 and vpavgb, which rounds halves up.
  const __m512i positive = _mm512_xor_si512(x, _mm512_set1_epi8(-128));
  const __m512i eighths = _mm512_and_si512(_mm512_srli_epi16(positive, 3), _mm512_set1_epi8(31));
  const __m512i eight = _mm512_set1_epi8(8);
  const __m512i low = _mm512_and_si512(_mm512_add_epi8(x, eight), _mm512_set1_epi8(15));
  return {_mm512_sub_epi8(low, eight), _mm512_sub_epi8(_mm512_avg_epu8(eighths, _mm512_setzero_si512()), eight)};
}

/// Halves of all groups of a span, kHalvesBytes each: group g at (g % 16 * 4 + g / 16) * kHalvesBytes.
struct SpanHalves {
  alignas(64) std::uint8_t bytes[e5::kSpanGroups * kHalvesBytes];
};

/// x: five runs of n columns each; 64 bytes of each may be read.
inline void split_span(const std::int8_t* x, std::size_t n, SpanHalves& span) {
  __m512i rows[kHalvesBytes];  // of 64 groups
  for (std::size_t d = 0; d < kHighHalves; ++d) {
    rows[d] = rows[d + kHighHalves] = _mm512_setzero_si512();
    if (d < e5::kGroupCols) {
      const Halves halves = split(load(x + d * n));
      rows[d] = halves.low;
      rows[d + kHighHalves] = halves.high;
    }
  }
  // Transposes 16 x 16 bytes in every 128-bit lane: each round moves one bit of a row's number into the column's.
  for (int round = 0; round < 4; ++round) {
    __m512i mixed[kHalvesBytes];
    for (std::size_t i = 0; i < 8; ++i) {
      mixed[2 * i] = _mm512_unpacklo_epi8(rows[i], rows[i + 8]);
      mixed[2 * i + 1] = _mm512_unpackhi_epi8(rows[i], rows[i + 8]);
    }
    for (std::size_t i = 0; i < kHalvesBytes; ++i) rows[i] = mixed[i];
  }
  for (std::size_t i = 0; i < kHalvesBytes; ++i) _mm512_store_si512(span.bytes + i * 64, rows[i]);
}

/// Makes the tables of `n` groups of a span.
inline void make_tables(const SpanHalves& span, std::size_t n, std::uint8_t* tables) {
  const __m512i first = load(kRecipe.first);
  const __m512i second = load(kRecipe.second);
  const __m512i bias = load(kRecipe.bias);
  const __m512i a_one = load(kRecipe.a_one);
  const __m512i a_pair = load(kRecipe.a_pair);
  const __m512i b = load(kRecipe.b);
  const __m512i to_high = _mm512_set1_epi8(kTermsBytes);
  const __m512i a_one_high = _mm512_add_epi8(a_one, to_high);
  const __m512i a_pair_high = _mm512_add_epi8(a_pair, to_high);
  const __m512i b_high = _mm512_add_epi8(b, to_high);
  for (std::size_t g = 0; g < n; ++g, tables += kTablesBytes) {
    const std::uint8_t* bytes = span.bytes + (g % 16 * 4 + g / 16) * kHalvesBytes;
    const __m512i halves = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
    const __m512i x1 = _mm512_shuffle_epi8(halves, first);
    const __m512i x2 = _mm512_shuffle_epi8(halves, second);
    __m512i terms = _mm512_mask_sub_epi8(_mm512_add_epi8(bias, x1), kRecipe.minus_first, bias, x1);
    terms = _mm512_mask_sub_epi8(_mm512_add_epi8(terms, x2), kRecipe.minus_second, terms, x2);
    const auto look_up = [&](__m512i index) { return _mm512_permutexvar_epi8(index, terms); };
    _mm512_store_si512(tables, _mm512_add_epi8(look_up(a_one), look_up(a_pair)));
    _mm512_store_si512(tables + kTableBytes, look_up(b));
    _mm512_store_si512(tables + 2 * kTableBytes, _mm512_add_epi8(look_up(a_one_high), look_up(a_pair_high)));
    _mm512_store_si512(tables + 3 * kTableBytes, look_up(b_high));
  }
}

/// One span of one token. x: (cols), from the span's first column on.
void prepare_span(const std::int8_t* x, std::size_t cols, std::uint8_t* tables) {
  const std::size_t n = e5::span_groups(cols);
  SpanHalves span;
  if (cols >= e5::kSpanCols) {
    split_span(x, n, span);
  } else {
    std::int8_t padded[e5::kSpanCols + 64] = {};
    std::memcpy(padded, x, cols);
    split_span(padded, n, span);
  }
  make_tables(span, n, tables);
}

std::size_t operand_bytes(std::size_t n_tokens, std::size_t cols) {
  return n_tokens * e5::n_groups(cols) * kTablesBytes;
}

/// Each part makes the tables of a range of spans, those of one token after those of the other.
void prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part, std::size_t n_parts,
             std::uint8_t* operand) {
  const std::size_t n_spans = e5::n_spans(cols);
  const std::size_t end = n_tokens * n_spans * (part + 1) / n_parts;
  for (std::size_t i = n_tokens * n_spans * part / n_parts; i < end; ++i) {
    const std::size_t token = i / n_spans;
    const std::size_t span = i % n_spans;
    prepare_span(x + token * cols + span * e5::kSpanCols, cols - span * e5::kSpanCols,
                 operand + (token * e5::n_groups(cols) + span * e5::kSpanGroups) * kTablesBytes);
  }
}

// --- product ----------------------------------------------------------------------------------------------------

#ifdef TERN_DCHECKS
inline void check(bool holds) {
  if (!holds) __builtin_trap();
}
inline __m512i add8(__m512i a, __m512i b) {
  check(_mm512_cmpneq_epi8_mask(_mm512_adds_epu8(a, b), _mm512_add_epi8(a, b)) == 0);
  return _mm512_add_epi8(a, b);
}
#else
inline void check(bool /*holds*/) {}
inline __m512i add8(__m512i a, __m512i b) { return _mm512_add_epi8(a, b); }
#endif

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

/// The sums of a product are computed for a few row blocks at a time: the memory delivers several ascending streams
/// sooner than one, and the tables of a chunk stay in registers from block to block.
constexpr std::size_t kBlocks = 8;
constexpr std::size_t kTokens = 8;  // tokens whose tables are read together, so that weights are read once

/// Row blocks whose sums are kept while the tables of one run after the other are read.
constexpr std::size_t kSuperBlocks = 2 * kBlocks;
constexpr std::size_t kSuperRows = kSuperBlocks * e5::kRows;

/// A thread's own memory.
struct Scratch {
  RowSums cells[kTokens][kBlocks];
  alignas(64) std::int32_t sums[kTokens][kSuperRows];
};

// Two prefetches a cache line: a far one into the second cache, which hides the memory, and a near one into the first.
// Each of the streams runs ahead by as much.
#ifndef FAR
#define FAR 2048
#endif
#ifndef NEAR
#define NEAR 512
#endif
constexpr std::size_t kFarBytes = FAR;   // bytes
constexpr std::size_t kNearBytes = NEAR;  // bytes

/// Some groups of some row blocks, and their tables for some tokens.
struct Run {
  const std::uint8_t* weights;
  const std::uint8_t* next;  // weights of the run that comes after it
  const std::uint8_t* tables;
  std::size_t n_groups;
  std::size_t n_blocks;
  std::size_t block_bytes;  // from one row block to the next
  std::size_t n_tokens;
  std::size_t token_bytes;  // from one token's tables to the next's
};

/// Holds a value in a register: the compiler would rather load it again for each use, and loads are scarce here.
inline void in_register(__m512i& v) { asm("" : "+v"(v)); }

/// Adds kGroups groups of all blocks for one token. far: bytes to prefetch ahead, 0 for not at all
template <std::size_t kGroups, bool kPrefetch>
inline void add_chunk(const Run& run, const std::uint8_t* weights, const std::uint8_t* tables, std::size_t far,
                      RowSums* sums) {
  __m512i table[4 * kGroups];
#pragma GCC unroll 12
  for (std::size_t i = 0; i < 4 * kGroups; ++i) {
    table[i] = _mm512_load_si512(tables + i * kTableBytes);
    in_register(table[i]);
    _mm_prefetch(tables + kChunkGroups * kTablesBytes + i * kTableBytes, _MM_HINT_T0);
  }
  for (std::size_t b = 0; b < run.n_blocks; ++b, weights += run.block_bytes) {
    __m512i low = _mm512_setzero_si512();
    __m512i high = _mm512_setzero_si512();
#pragma GCC unroll 3
    for (std::size_t i = 0; i < kGroups; ++i) {
      const std::uint8_t* group = weights + i * e5::kRows;
      if constexpr (kPrefetch) {
        _mm_prefetch(group + far, _MM_HINT_T1);
        _mm_prefetch(group + kNearBytes, _MM_HINT_T0);
      }
      __m512i codes = _mm512_load_si512(group);
      in_register(codes);
      const __m512i shifted = _mm512_srli_epi16(codes, 2);  // vpermb ignores the two bits of the neighbour
      low = add8(low, _mm512_permutexvar_epi8(shifted, table[4 * i]));
      low = add8(low, _mm512_permutexvar_epi8(codes, table[4 * i + 1]));
      high = add8(high, _mm512_permutexvar_epi8(shifted, table[4 * i + 2]));
      high = add8(high, _mm512_permutexvar_epi8(codes, table[4 * i + 3]));
    }
    sums[b].low.add(low);
    sums[b].high.add(high);
  }
}

/// Adds kGroups groups of all blocks for all tokens.
template <std::size_t kGroups>
inline void add_tokens(const Run& run, std::size_t group, Scratch& scratch) {
  const std::uint8_t* weights = run.weights + group * e5::kRows;
  const std::uint8_t* tables = run.tables + group * kTablesBytes;
  // What follows the last groups of a run is the next run.
  const std::uint8_t* end = run.weights + run.n_groups * e5::kRows;
  const auto skip = weights + kFarBytes < end ? 0 : static_cast<std::size_t>(run.next - end);
  add_chunk<kGroups, true>(run, weights, tables, kFarBytes + skip, scratch.cells[0]);
  for (std::size_t t = 1; t < run.n_tokens; ++t) {
    add_chunk<kGroups, false>(run, weights, tables + t * run.token_bytes, 0, scratch.cells[t]);
  }
}

void add_run(const Run& run, Scratch& scratch) {
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

std::size_t scratch_bytes(std::size_t /*cols*/) { return sizeof(Scratch); }

#ifndef GRAIN
#define GRAIN kSuperRows
#endif
Grain grain(std::size_t n_tokens, std::size_t /*cols*/) { return {GRAIN, n_tokens}; }

/// `n` things in as few shares as possible, none above `most`, all about equal.
constexpr std::size_t even_share(std::size_t n, std::size_t most) {
  const std::size_t n_shares = (n + most - 1) / most;
  return (n + n_shares - 1) / n_shares;
}

/// Groups of a run: as many as 16 bits hold, fewer where the tables of all tokens would leave the second cache.
constexpr std::size_t run_groups(std::size_t n_groups, std::size_t n_tokens) {
  constexpr std::size_t kCachedBytes = std::size_t{1} << 20;
  const std::size_t cached = kCachedBytes / (kTablesBytes * n_tokens) / kChunkGroups * kChunkGroups;
  const std::size_t most = cached < kRunGroups ? cached : kRunGroups;
  return (even_share(n_groups, most) + kChunkGroups - 1) / kChunkGroups * kChunkGroups;
}

/// Row blocks and tokens of a product that are computed together: at most kSuperBlocks and kTokens.
struct Part {
  std::size_t block, n_blocks;
  std::size_t token, n_tokens;
};

void multiply_part(const TernaryProduct& p, const Part& part, Scratch& scratch) {
  const std::size_t n_groups = e5::n_groups(p.cols);
  const std::size_t block_bytes = e5::block_bytes(p.cols);
  const std::size_t step_groups = run_groups(n_groups, part.n_tokens);
  const std::size_t step_blocks = even_share(part.n_blocks, kBlocks);
  const std::uint8_t* weights = p.weights + part.block * block_bytes;
  for (std::size_t group = 0; group < n_groups; group += step_groups) {
    const std::size_t n = n_groups - group < step_groups ? n_groups - group : step_groups;
    for (std::size_t block = 0; block < part.n_blocks; block += step_blocks) {
      const std::size_t left = part.n_blocks - block;
      const Run run = {.weights = weights + block * block_bytes + group * e5::kRows,
                       .next = weights + (block + step_blocks) * block_bytes + group * e5::kRows,
                       .tables = p.operand + (part.token * n_groups + group) * kTablesBytes,
                       .n_groups = n,
                       .n_blocks = left < step_blocks ? left : step_blocks,
                       .block_bytes = block_bytes,
                       .n_tokens = part.n_tokens,
                       .token_bytes = n_groups * kTablesBytes};
      std::memset(scratch.cells, 0, sizeof scratch.cells[0] * part.n_tokens);
      add_run(run, scratch);
      for (std::size_t t = 0; t < part.n_tokens; ++t) {
        for (std::size_t b = 0; b < run.n_blocks; ++b) {
          drain(scratch.cells[t][b], n, group == 0, scratch.sums[t] + (block + b) * e5::kRows);
        }
      }
    }
  }
}

void multiply(const TernaryProduct& p) {
  auto& scratch = *reinterpret_cast<Scratch*>(p.scratch);
  const std::size_t end = (p.row_end + e5::kRows - 1) / e5::kRows;
  const std::size_t n_tokens = p.token_end - p.token_begin;
  const std::size_t step_tokens = even_share(n_tokens, kTokens);
  for (std::size_t block = p.row_begin / e5::kRows; block < end; block += kSuperBlocks) {
    const std::size_t n_blocks = end - block < kSuperBlocks ? end - block : kSuperBlocks;
    const std::size_t row = block * e5::kRows;
    const std::size_t n_rows = p.row_end - row < kSuperRows ? p.row_end - row : kSuperRows;
    for (std::size_t token = p.token_begin; token < p.token_end; token += step_tokens) {
      const std::size_t left = p.token_end - token;
      const Part part = {block, n_blocks, token, left < step_tokens ? left : step_tokens};
      multiply_part(p, part, scratch);
      for (std::size_t t = 0; t < part.n_tokens; ++t) {
        p.sink.take(p.sink.context, token + t, row, n_rows, scratch.sums[t]);
      }
    }
  }
}

}  // namespace e5_decode
}  // namespace
}  // namespace tern::kernels
