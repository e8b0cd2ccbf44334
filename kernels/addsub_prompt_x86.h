#pragma once

// Vectors of tokens for addsub_prompt.h: what all x86-64 kernels have in common. Included by those kernels; all names
// are local to the including file (see kernels.h).

#include <immintrin.h>

#include <cstring>

#include "kernels/addsub_prompt_operand.h"

namespace tern::kernels {
namespace {

/// Squares of 8 x 8, transposed.
struct X86Transposes {
  /// Transposes 8 tokens x 8 columns, `stride` bytes from token to token, to int16 (8 columns, kTokens).
  static void tokens(const std::int8_t* x, std::size_t stride, std::int16_t* columns) {
    __m128i v[8];
    for (std::size_t t = 0; t < 8; ++t) {
      v[t] = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(x + t * stride)));
    }
    // Three rounds of "interleave register i with register i + 4" transpose 8 x 8.
    for (int round = 0; round < 3; ++round) {
      __m128i w[8];
      for (std::size_t i = 0; i < 4; ++i) {
        w[2 * i] = _mm_unpacklo_epi16(v[i], v[i + 4]);
        w[2 * i + 1] = _mm_unpackhi_epi16(v[i], v[i + 4]);
      }
      std::memcpy(v, w, sizeof v);
    }
    for (std::size_t c = 0; c < 8; ++c) {
      _mm_store_si128(reinterpret_cast<__m128i*>(columns + c * kTokens), v[c]);
    }
  }

  /// Widens and transposes 8 rows x 8 tokens of sums, (8, kTokens). wide: further sums, or null. out: (8, `stride`).
  static void sums(const std::int16_t* narrow, const std::int32_t* wide, std::int32_t* out, std::size_t stride) {
    __m256i v[8];
    for (std::size_t r = 0; r < 8; ++r) {
      v[r] = _mm256_cvtepi16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(narrow + r * kTokens)));
      if (wide != nullptr) {
        v[r] = _mm256_add_epi32(v[r], _mm256_load_si256(reinterpret_cast<const __m256i*>(wide + r * kTokens)));
      }
    }
    // Two rounds of "interleave register i with register i + 4" transpose within the 128-bit lanes ...
    for (int round = 0; round < 2; ++round) {
      __m256i w[8];
      for (std::size_t i = 0; i < 4; ++i) {
        w[2 * i] = _mm256_unpacklo_epi32(v[i], v[i + 4]);
        w[2 * i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 4]);
      }
      std::memcpy(v, w, sizeof v);
    }
    // ... which leaves the even rows of token t in register t, its odd rows in t + 4, and token t + 4 in the high
    // lanes.
    for (std::size_t t = 0; t < 4; ++t) {
      const __m256i low = _mm256_unpacklo_epi32(v[t], v[t + 4]);
      const __m256i high = _mm256_unpackhi_epi32(v[t], v[t + 4]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + t * stride), _mm256_permute2x128_si256(low, high, 0x20));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + (t + 4) * stride),
                          _mm256_permute2x128_si256(low, high, 0x31));
    }
  }
};

/// 16-bit sums of 16 tokens.
struct HalfTokens {
  static constexpr std::size_t kSize = 16;
  using Half = HalfTokens;
  using Transposes = X86Transposes;
  __m256i v;

  static HalfTokens zero() { return {_mm256_setzero_si256()}; }
  static HalfTokens load(const std::int16_t* p) { return {_mm256_load_si256(reinterpret_cast<const __m256i*>(p))}; }
  void store(std::int16_t* p) const { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
  static HalfTokens add(HalfTokens a, HalfTokens b) { return {_mm256_add_epi16(a.v, b.v)}; }
  static HalfTokens sub(HalfTokens a, HalfTokens b) { return {_mm256_sub_epi16(a.v, b.v)}; }
  /// Whether no lane of add() overflows.
  static bool fits(HalfTokens a, HalfTokens b) {
    const __m256i same = _mm256_cmpeq_epi16(_mm256_add_epi16(a.v, b.v), _mm256_adds_epi16(a.v, b.v));
    return _mm256_movemask_epi8(same) == -1;
  }
  static HalfTokens magnitude(HalfTokens a) { return {_mm256_abs_epi16(a.v)}; }
  /// The sign bits of the odd bytes tell.
  static bool any_negative(HalfTokens a) {
    return (static_cast<std::uint32_t>(_mm256_movemask_epi8(a.v)) & 0xAAAAAAAAU) != 0;
  }
  /// Adds to 16 sums of 32 bits.
  void add_to(std::int32_t* p) const {
    auto* sums = reinterpret_cast<__m256i*>(p);
    const __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(v));
    const __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(v, 1));
    _mm256_store_si256(sums, _mm256_add_epi32(_mm256_load_si256(sums), low));
    _mm256_store_si256(sums + 1, _mm256_add_epi32(_mm256_load_si256(sums + 1), high));
  }
};

}  // namespace
}  // namespace tern::kernels
