#pragma once

// The tables of sums that the add/subtract kernels decode with. Included by addsub_decode.h; all names are local to the
// including file (see kernels.h).
//
// A nibble of a packed byte holds two trits (t, u): it selects one of 16 entries of a table of t*x0 + u*x1, made once
// for all rows by additions. Vectors look up bytes only, so an activation is split into x = 16 * high + low with low in
// [-8, 7] and high in [-8, 8], and each half has its own table:
//
//     tables of a group   | low: columns 0, 1 | low: columns 2, 3 | high: columns 0, 1 | high: columns 2, 3 |   4 x 16
//     B
//     entry               (t + 1) | (u + 1) << 2 is 16 + t*x0 + u*x1

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <cstring>

#include "kernels/layout_rows64.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kTableBytes = 16;
constexpr std::size_t kTablesBytes = 4 * kTableBytes;  // of a group

constexpr int kMaxHalf = 8;                // |low|, |high| <= 8 for |x| <= 127
constexpr int kEntryBias = 2 * kMaxHalf;   // an entry is a sum of two halves: [-16, 16] becomes [0, 32]
constexpr int kMaxEntry = 2 * kEntryBias;  // 32

constexpr std::size_t kStepGroups = 4;                               // whose tables are made at a time
constexpr std::size_t kStepCols = kStepGroups * rows64::kGroupCols;  // 16

#if defined(__x86_64__)

/// The low and high halves of 16 activations.
struct Halves {
  __m128i low, high;
};

inline Halves split(__m128i x) {
  const __m256i rounded = _mm256_add_epi16(_mm256_cvtepi8_epi16(x), _mm256_set1_epi16(8));
  const __m256i high = _mm256_srai_epi16(rounded, 4);
  const __m256i low = _mm256_sub_epi16(_mm256_and_si256(rounded, _mm256_set1_epi16(15)), _mm256_set1_epi16(8));
  const __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0b11'01'10'00);
  return {_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)};
}

/// The tables of both column pairs of group `group` (0..3) of 16 halves. `vpsignb` negates, keeps or clears: no product
/// is formed.
inline __m256i pair_tables(__m256i halves, int group) {
  const __m256i signs_a =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 0, 1, 0, -1, 0, 1, 0, -1, 0, 1, 0, -1, 0, 1, 0));
  const __m256i signs_b =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0));
  const __m256i pair = _mm256_setr_m128i(_mm_setzero_si128(), _mm_set1_epi8(2));  // columns 0, 1 | 2, 3
  const __m256i a = _mm256_shuffle_epi8(halves, _mm256_add_epi8(pair, _mm256_set1_epi8(static_cast<char>(4 * group))));
  const __m256i b =
      _mm256_shuffle_epi8(halves, _mm256_add_epi8(pair, _mm256_set1_epi8(static_cast<char>(4 * group + 1))));
  const __m256i sum = _mm256_add_epi8(_mm256_sign_epi8(a, signs_a), _mm256_sign_epi8(b, signs_b));
  return _mm256_add_epi8(sum, _mm256_set1_epi8(kEntryBias));
}

/// Makes the tables of the first `n_groups` groups of 16 columns.
inline void make_step_tables(const std::int8_t* columns, std::size_t n_groups, std::uint8_t* tables) {
  const Halves halves = split(_mm_load_si128(reinterpret_cast<const __m128i*>(columns)));
  const __m256i low = _mm256_broadcastsi128_si256(halves.low);
  const __m256i high = _mm256_broadcastsi128_si256(halves.high);
  for (std::size_t i = 0; i < n_groups; ++i) {
    auto* out = reinterpret_cast<__m256i*>(tables + i * kTablesBytes);
    _mm256_store_si256(out, pair_tables(low, static_cast<int>(i)));
    _mm256_store_si256(out + 1, pair_tables(high, static_cast<int>(i)));
  }
}

#elif defined(__aarch64__)

/// 16 halves and their negatives: `tbl` takes either, or zero for an index beyond them. No product is formed.
inline int8x16x2_t with_negatives(int8x16_t halves) { return {{halves, vnegq_s8(halves)}}; }

/// The table of the columns `first` and `first + 1`.
inline uint8x16_t pair_table(int8x16x2_t signed_halves, std::size_t first) {
  constexpr std::uint8_t kMinus = 16;  // the negative of column 0
  constexpr std::uint8_t kZero = 128;  // beyond, whatever column is added
  static constexpr std::uint8_t kFirst[] = {kMinus, kZero, 0, kZero, kMinus, kZero, 0, kZero,
                                            kMinus, kZero, 0, kZero, kMinus, kZero, 0, kZero};
  static constexpr std::uint8_t kSecond[] = {kMinus, kMinus, kMinus, kMinus, kZero, kZero, kZero, kZero,
                                             0,      0,      0,      0,      kZero, kZero, kZero, kZero};
  const auto column = static_cast<std::uint8_t>(first);
  const int8x16_t a = vqtbl2q_s8(signed_halves, vaddq_u8(vld1q_u8(kFirst), vdupq_n_u8(column)));
  const int8x16_t b = vqtbl2q_s8(signed_halves, vaddq_u8(vld1q_u8(kSecond), vdupq_n_u8(column + 1)));
  return vreinterpretq_u8_s8(vaddq_s8(vaddq_s8(a, b), vdupq_n_s8(kEntryBias)));
}

/// Makes the tables of the first `n_groups` groups of 16 columns.
inline void make_step_tables(const std::int8_t* columns, std::size_t n_groups, std::uint8_t* tables) {
  const int8x16_t x = vld1q_s8(columns);
  const int8x16_t high = vrshrq_n_s8(x, 4);  // (x + 8) >> 4, without overflow
  // Exact modulo 256, and in [-8, 7]. Unsigned: the compiler may take vsubq_s8() for a subtraction without overflow.
  const int8x16_t low = vreinterpretq_s8_u8(vsubq_u8(vreinterpretq_u8_s8(x), vreinterpretq_u8_s8(vshlq_n_s8(high, 4))));
  const int8x16x2_t signed_low = with_negatives(low);
  const int8x16x2_t signed_high = with_negatives(high);
  for (std::size_t i = 0; i < n_groups; ++i, tables += kTablesBytes) {
    const std::size_t first = i * rows64::kGroupCols;
    vst1q_u8(tables, pair_table(signed_low, first));
    vst1q_u8(tables + kTableBytes, pair_table(signed_low, first + 2));
    vst1q_u8(tables + 2 * kTableBytes, pair_table(signed_high, first));
    vst1q_u8(tables + 3 * kTableBytes, pair_table(signed_high, first + 2));
  }
}

#endif

/// Traps where an entry would break the bounds of the sums; does nothing in a release.
inline void check_entries([[maybe_unused]] const std::uint8_t* tables, [[maybe_unused]] std::size_t n_bytes) {
#ifdef TERN_DCHECKS
  for (std::size_t i = 0; i < n_bytes; ++i) {
    if (tables[i] > kMaxEntry) __builtin_trap();
  }
#endif
}

/// Makes the tables of the groups [begin, end) of one token. x: (cols); columns beyond are zeros.
void make_tables(const std::int8_t* x, std::size_t cols, std::size_t begin, std::size_t end, std::uint8_t* tables) {
  for (std::size_t g = begin; g < end; g += kStepGroups) {
    alignas(16) std::int8_t columns[kStepCols] = {};
    const std::size_t first = g * rows64::kGroupCols;
    if (first < cols) {
      std::memcpy(columns, x + first, cols - first < kStepCols ? cols - first : kStepCols);
    }
    const std::size_t n = end - g < kStepGroups ? end - g : kStepGroups;
    make_step_tables(columns, n, tables + g * kTablesBytes);
    check_entries(tables + g * kTablesBytes, n * kTablesBytes);
  }
}

std::size_t decode_operand_bytes(std::size_t n_tokens, std::size_t cols) {
  return n_tokens * rows64::n_groups(cols) * kTablesBytes;
}

/// Each part makes the tables of a range of groups, for every token.
void decode_prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part, std::size_t n_parts,
                    std::uint8_t* operand) {
  const std::size_t n_groups = rows64::n_groups(cols);
  const std::size_t begin = n_groups * part / n_parts;
  const std::size_t end = n_groups * (part + 1) / n_parts;
  for (std::size_t t = 0; t < n_tokens; ++t) {
    make_tables(x + t * cols, cols, begin, end, operand + t * n_groups * kTablesBytes);
  }
}

}  // namespace
}  // namespace tern::kernels
