#pragma once

// Vectors of AVX-512 (F, BW) for the add/subtract kernels. All names are local to the including file (see kernels.h).

#include <immintrin.h>

#include <cstdint>

#include "kernels/addsub_prompt_x86.h"

namespace tern::kernels {
namespace {

/// 64 bytes, or 32 lanes of 16 bits.
struct Avx512Bytes {
  static constexpr std::size_t kBytes = 64;
  __m512i v;

  static Avx512Bytes zero() { return {_mm512_setzero_si512()}; }
  static Avx512Bytes load(const std::uint8_t* p) { return {_mm512_load_si512(p)}; }
  void store(std::uint16_t* p) const { _mm512_store_si512(p, v); }
  void store(std::uint32_t* p) const { _mm512_store_si512(p, v); }
  /// Widens to 16 bits and shifts left.
  void store_shifted(std::uint64_t* p, int bits) const {
    const __m512i low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(v));
    const __m512i high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(v, 1));
    _mm512_store_si512(p, _mm512_slli_epi16(low, static_cast<unsigned>(bits)));
    _mm512_store_si512(p + 8, _mm512_slli_epi16(high, static_cast<unsigned>(bits)));
  }

  static Avx512Bytes low_nibbles(Avx512Bytes a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
  static Avx512Bytes high_nibbles(Avx512Bytes a) {
    return {_mm512_and_si512(_mm512_srli_epi16(a.v, 4), _mm512_set1_epi8(15))};
  }
  /// Entries of a 16-byte table.
  static Avx512Bytes look_up(const std::uint8_t* table, Avx512Bytes nibbles) {
    const __m512i t = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
    return {_mm512_shuffle_epi8(t, nibbles.v)};
  }
  static Avx512Bytes add8(Avx512Bytes a, Avx512Bytes b) { return {_mm512_add_epi8(a.v, b.v)}; }
  static Avx512Bytes add16(Avx512Bytes a, Avx512Bytes b) { return {_mm512_add_epi16(a.v, b.v)}; }
  static Avx512Bytes sub16(Avx512Bytes a, Avx512Bytes b) { return {_mm512_sub_epi16(a.v, b.v)}; }
  static Avx512Bytes high_bytes(Avx512Bytes a) { return {_mm512_srli_epi16(a.v, 8)}; }
  static Avx512Bytes shift_left_8(Avx512Bytes a) { return {_mm512_slli_epi16(a.v, 8)}; }

  static Avx512Bytes shift_left(Avx512Bytes a, int bits) {  // lanes of 16 bits
    return {_mm512_slli_epi16(a.v, static_cast<unsigned>(bits))};
  }
  static Avx512Bytes interleave8_low(Avx512Bytes a, Avx512Bytes b) { return {_mm512_unpacklo_epi8(a.v, b.v)}; }
  static Avx512Bytes interleave8_high(Avx512Bytes a, Avx512Bytes b) { return {_mm512_unpackhi_epi8(a.v, b.v)}; }
  static Avx512Bytes interleave16_low(Avx512Bytes a, Avx512Bytes b) { return {_mm512_unpacklo_epi16(a.v, b.v)}; }
  static Avx512Bytes interleave16_high(Avx512Bytes a, Avx512Bytes b) { return {_mm512_unpackhi_epi16(a.v, b.v)}; }
  /// Brings bytes 0, 1, ... 63 into the order from which interleaving bytes, then pairs, in 128-bit lanes makes 0-15,
  /// 16-31, 32-47, 48-63.
  [[nodiscard]] Avx512Bytes for_interleaving() const {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return {_mm512_permutexvar_epi32(order, v)};
  }

  /// Nothing to do: 32 registers hold whatever order of additions the compiler likes best.
  static void complete(Avx512Bytes& /*a*/, Avx512Bytes& /*b*/) {}
};

/// 16-bit sums of 32 tokens.
struct Avx512Tokens {
  static constexpr std::size_t kSize = 32;
  using Half = HalfTokens;
  using Transposes = X86Transposes;
  __m512i v;

  static Avx512Tokens zero() { return {_mm512_setzero_si512()}; }
  static Avx512Tokens load(const std::int16_t* p) { return {_mm512_load_si512(p)}; }
  void store(std::int16_t* p) const { _mm512_store_si512(p, v); }
  static Avx512Tokens add(Avx512Tokens a, Avx512Tokens b) { return {_mm512_add_epi16(a.v, b.v)}; }
  static Avx512Tokens sub(Avx512Tokens a, Avx512Tokens b) { return {_mm512_sub_epi16(a.v, b.v)}; }
  /// Whether no lane of add() overflows.
  static bool fits(Avx512Tokens a, Avx512Tokens b) {
    return _mm512_cmpneq_epi16_mask(_mm512_add_epi16(a.v, b.v), _mm512_adds_epi16(a.v, b.v)) == 0;
  }
  static Avx512Tokens magnitude(Avx512Tokens a) { return {_mm512_abs_epi16(a.v)}; }
  static bool any_negative(Avx512Tokens a) { return _mm512_movepi16_mask(a.v) != 0; }
  /// Adds to 32 sums of 32 bits.
  void add_to(std::int32_t* p) const {
    const __m512i low = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(v));
    const __m512i high = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(v, 1));
    _mm512_store_si512(p, _mm512_add_epi32(_mm512_load_si512(p), low));
    _mm512_store_si512(p + 16, _mm512_add_epi32(_mm512_load_si512(p + 16), high));
  }
};

}  // namespace
}  // namespace tern::kernels
