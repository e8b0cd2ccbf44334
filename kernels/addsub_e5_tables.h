#pragma once

// Tables of sums for layout e5, and how they are made from activations. Included by the add/subtract kernel for AVX-512
// VBMI; all names are local to the including file (see kernels.h).
//
// A byte of five trits stands for a sum over five activations that splits into two tables of 64 entries, A and B (see
// layout_e5.h). `vpermb` looks up 64 rows at once, but only bytes, so an activation is split into x = 16 * high + low
// with low in [-8, 7] and high in [-8, 8], and each half has its own tables. A bias makes their entries positive, so
// that byte sums can be widened by treating the odd bytes as high parts.
//
// The 128 entries of A and B take 44 different values, which are all that is kept of a group; `vpermb` makes the tables
// of them when they are needed, for hundreds of rows at a time:
//
//     operand of a group, bytes | values of the low halves, 64 | values of the high halves, 64 |

#include <immintrin.h>

#include <cstring>

#include "kernels/layout_e5.h"

namespace tern::kernels {
namespace {
namespace e5_tables {

constexpr std::size_t kValuesBytes = 64;               // of one half
constexpr std::size_t kGroupBytes = 2 * kValuesBytes;  // of the operand

constexpr int kMaxHalf = 8;                     // |low|, |high| <= 8 for |x| <= 127
constexpr int kOneBias = kMaxHalf;              // of a half: [-8, 8] becomes [0, 16]
constexpr int kPairBias = 2 * kMaxHalf;         // of a sum of two: [-16, 16] becomes [0, 32]
constexpr int kABias = kOneBias + kPairBias;    // A is a half and a pair, B a pair
constexpr int kGroupBias = kABias + kPairBias;  // 40: in the sum of the low halves, and 40 in that of the high ones
constexpr int kMaxGroupSum = 2 * kGroupBias;    // 80

// Every value is the sum of two terms, of which one is 0 or +-x1, the other a pair of halves with signs. A vector holds
// the terms of a group, those of the low halves in the first 32 bytes, those of the high halves in the others:
//
//     byte    0   1    2    3        4         8 + v                  16 + v
//     term    0   -x1  +x1  no pair  nothing   kPairs[v] . (x2, x3)   kPairs[v] . (x4, x5)
//     bias    8   8    8    16       0         16                     16
constexpr std::uint8_t kNoPair = 3;
constexpr std::uint8_t kNothing = 4;
constexpr std::uint8_t kSecondPairs = 8;
constexpr std::uint8_t kFourthPairs = 16;
constexpr std::uint8_t kHighTerms = 32;

// The halves of a group: low ones of x1, ... x5, three zeros, high ones, three zeros.
constexpr std::size_t kHalvesBytes = 16;
constexpr std::uint8_t kHighHalves = 8;
constexpr std::uint8_t kNoHalf = 5;

/// How the terms follow from the halves: operands of `vpshufb`.
struct TermRecipe {
  std::uint8_t first[64];  // halves that a term adds up
  std::uint8_t second[64];
  std::uint64_t minus_first;  // bit i: term i subtracts it
  std::uint64_t minus_second;
  std::uint8_t bias[64];
};

constexpr void set_term(TermRecipe& recipe, std::size_t term, std::size_t column, int sign_first, int sign_second) {
  for (std::size_t high = 0; high < 2; ++high) {
    const std::size_t i = term + high * kHighTerms;
    const auto half = static_cast<std::uint8_t>(column + high * kHighHalves);
    if (sign_first != 0) recipe.first[i] = half;
    if (sign_second != 0) recipe.second[i] = static_cast<std::uint8_t>(half + 1);
    recipe.minus_first |= static_cast<std::uint64_t>(sign_first < 0) << i;
    recipe.minus_second |= static_cast<std::uint64_t>(sign_second < 0) << i;
    recipe.bias[i] = term == kNothing ? 0 : term < kNoPair ? kOneBias : kPairBias;
  }
}

constexpr TermRecipe make_term_recipe() {
  TermRecipe recipe = {};
  for (std::size_t i = 0; i < 64; ++i) recipe.first[i] = recipe.second[i] = kNoHalf;
  set_term(recipe, 0, 0, 0, 0);
  set_term(recipe, kNoPair, 0, 0, 0);
  set_term(recipe, kNothing, 0, 0, 0);
  set_term(recipe, 1, 0, -1, 0);
  set_term(recipe, 2, 0, 1, 0);
  for (std::size_t v = 0; v < 8; ++v) {
    set_term(recipe, kSecondPairs + v, 1, e5::kPairs[v][0], e5::kPairs[v][1]);
    set_term(recipe, kFourthPairs + v, 3, e5::kPairs[v][0], e5::kPairs[v][1]);
  }
  return recipe;
}

/// How the values follow from the terms, and the tables from the values: operands of `vpermb`, for the low halves.
struct TableRecipe {
  std::uint8_t one[64];  // value i is the sum of the terms one[i] and pair[i]
  std::uint8_t pair[64];
  std::uint8_t a[64];  // entry i of A is the value a[i]
  std::uint8_t b[64];
  std::uint8_t n_values;
};

/// The number of a value, which is added if it is new.
constexpr std::uint8_t value_of(TableRecipe& recipe, std::uint8_t one, std::uint8_t pair) {
  std::uint8_t i = 0;
  while (i < recipe.n_values && (recipe.one[i] != one || recipe.pair[i] != pair)) ++i;
  if (i == recipe.n_values) {
    recipe.one[i] = one;
    recipe.pair[i] = pair;
    ++recipe.n_values;
  }
  return i;
}

/// The term of the signs of x2, ... x5, of which at most one pair differs from zeros.
constexpr std::uint8_t pair_term(const int* signs) {
  for (std::size_t v = 0; v < 8; ++v) {
    const int* pair = e5::kPairs[v];
    if (pair[0] == signs[0] && pair[1] == signs[1]) return static_cast<std::uint8_t>(kSecondPairs + v);
    if (pair[0] == signs[2] && pair[1] == signs[3]) return static_cast<std::uint8_t>(kFourthPairs + v);
  }
  return kNoPair;
}

constexpr TableRecipe make_table_recipe() {
  // The layout's own tables of one activation alone tell the sign that each entry gives it.
  constexpr e5::Tables kSigns[e5::kGroupCols] = {e5::make_tables(1, 0, 0, 0, 0), e5::make_tables(0, 1, 0, 0, 0),
                                                 e5::make_tables(0, 0, 1, 0, 0), e5::make_tables(0, 0, 0, 1, 0),
                                                 e5::make_tables(0, 0, 0, 0, 1)};
  TableRecipe recipe = {};
  for (std::size_t i = 0; i < 64; ++i) {
    int a[e5::kGroupCols] = {};
    int b[e5::kGroupCols] = {};
    for (std::size_t d = 0; d < e5::kGroupCols; ++d) {
      a[d] = static_cast<std::int8_t>(kSigns[d].a[i]);
      b[d] = static_cast<std::int8_t>(kSigns[d].b[i]);
    }
    recipe.a[i] = value_of(recipe, static_cast<std::uint8_t>(a[0] == 0 ? 0 : a[0] < 0 ? 1 : 2), pair_term(a + 1));
    recipe.b[i] = value_of(recipe, kNothing, pair_term(b + 1));
  }
  return recipe;
}

alignas(64) constexpr TermRecipe kTerms = make_term_recipe();
alignas(64) constexpr TableRecipe kTables = make_table_recipe();
static_assert(kTables.n_values <= kValuesBytes, "44: 27 + 1 of A, 8 + 8 of B");

inline __m512i load(const void* p) { return _mm512_loadu_si512(p); }

/// The halves of 64 activations.
struct Halves {
  __m512i low, high;
};

inline Halves split(__m512i x) {
  const __m512i eight = _mm512_set1_epi8(8);
  const __m512i low = _mm512_and_si512(_mm512_add_epi8(x, eight), _mm512_set1_epi8(15));
  // high + 8 = floor((x + 136) / 16), where x + 136 would not fit: vpavgb rounds (x + 128) / 8 / 2 to the nearest.
  const __m512i positive = _mm512_xor_si512(x, _mm512_set1_epi8(-128));
  const __m512i eighths = _mm512_and_si512(_mm512_srli_epi16(positive, 3), _mm512_set1_epi8(31));
  const __m512i high = _mm512_avg_epu8(eighths, _mm512_setzero_si512());
  return {_mm512_sub_epi8(low, eight), _mm512_sub_epi8(high, eight)};
}

/// Halves of all groups of a span, kHalvesBytes each: group g at (g % 16 * 4 + g / 16) * kHalvesBytes.
struct SpanHalves {
  alignas(64) std::uint8_t bytes[e5::kSpanGroups * kHalvesBytes];
};

/// x: five runs of n columns each; 64 bytes of each may be read.
inline void split_span(const std::int8_t* x, std::size_t n, SpanHalves& span) {
  __m512i rows[kHalvesBytes] = {};  // of 64 groups
  for (std::size_t d = 0; d < e5::kGroupCols; ++d) {
    const Halves halves = split(load(x + d * n));
    rows[d] = halves.low;
    rows[kHighHalves + d] = halves.high;
  }
  // Transposes 16 x 16 bytes in every 128-bit lane: each round moves one bit of the row's number to the column's.
  for (int round = 0; round < 4; ++round) {
    __m512i mixed[kHalvesBytes];
    for (std::size_t i = 0; i < kHalvesBytes / 2; ++i) {
      mixed[2 * i] = _mm512_unpacklo_epi8(rows[i], rows[i + kHalvesBytes / 2]);
      mixed[2 * i + 1] = _mm512_unpackhi_epi8(rows[i], rows[i + kHalvesBytes / 2]);
    }
    for (std::size_t i = 0; i < kHalvesBytes; ++i) rows[i] = mixed[i];
  }
  for (std::size_t i = 0; i < kHalvesBytes; ++i) _mm512_store_si512(span.bytes + i * 64, rows[i]);
}

/// Makes the values of `n` groups of a span.
inline void make_values(const SpanHalves& span, std::size_t n, std::uint8_t* values) {
  const __m512i first = load(kTerms.first);
  const __m512i second = load(kTerms.second);
  const __m512i bias = load(kTerms.bias);
  const __m512i to_high = _mm512_set1_epi8(kHighTerms);
  const __m512i one[2] = {load(kTables.one), _mm512_add_epi8(load(kTables.one), to_high)};
  const __m512i pair[2] = {load(kTables.pair), _mm512_add_epi8(load(kTables.pair), to_high)};
  for (std::size_t g = 0; g < n; ++g, values += kGroupBytes) {
    const std::uint8_t* bytes = span.bytes + (g % 16 * 4 + g / 16) * kHalvesBytes;
    const __m512i halves = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
    const __m512i u = _mm512_shuffle_epi8(halves, first);
    const __m512i v = _mm512_shuffle_epi8(halves, second);
    __m512i terms = _mm512_mask_sub_epi8(_mm512_add_epi8(bias, u), kTerms.minus_first, bias, u);
    terms = _mm512_mask_sub_epi8(_mm512_add_epi8(terms, v), kTerms.minus_second, terms, v);
    for (std::size_t half = 0; half < 2; ++half) {
      _mm512_store_si512(values + half * kValuesBytes, _mm512_add_epi8(_mm512_permutexvar_epi8(one[half], terms),
                                                                       _mm512_permutexvar_epi8(pair[half], terms)));
    }
  }
}

/// One span of one token. x: (cols), from the span's first column on
void prepare_span(const std::int8_t* x, std::size_t cols, std::uint8_t* values) {
  const std::size_t n = e5::span_groups(cols);
  SpanHalves span;
  if (cols >= e5::kSpanCols) {
    split_span(x, n, span);
  } else {
    std::int8_t padded[e5::kSpanCols + 64] = {};
    std::memcpy(padded, x, cols);
    split_span(padded, n, span);
  }
  make_values(span, n, values);
}

}  // namespace e5_tables
}  // namespace
}  // namespace tern::kernels
