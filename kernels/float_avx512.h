#pragma once

#include "kernels/float_x86.h"

/// The vocabularies of AVX-512 for float and attention kernels.
namespace tern::kernels {
namespace {

/// A group is one zmm register.
struct Avx512 : X86Sums<Avx512> {
  using Arch = xsimd::avx512bw;
  static constexpr std::size_t kDotRows = 4;
  static constexpr std::size_t kTileRows = 8;
  static constexpr std::size_t kTileGroups = 16;

  static Group<Avx512> from_f16(const std::uint16_t* p) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {{_mm512_cvtph_ps(halves)}};
  }
  static void to_f16(const Group<Avx512>& group, std::uint16_t* p) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(group.r[0], _MM_FROUND_TO_NEAREST_INT));
  }
  static void to_i8(const Group<Avx512>& group, std::int8_t* p) {
    const __m512i ints = _mm512_cvtps_epi32(group.r[0]);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(ints));
  }
  static __m512 fma(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
  static __m512d widen(const float* p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
  static __m512d widen(const std::int32_t* p) {
    return _mm512_cvtepi32_pd(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Group<Avx512> narrow(const Group<Avx512, double>& g) {
    const __m512 low = _mm512_castps256_ps512(_mm512_cvtpd_ps(g.r[0]));
    return {{_mm512_insertf32x8(low, _mm512_cvtpd_ps(g.r[1]), 1)}};
  }
  /// 8 + 8, then 4 + 4
  static __m128 fold(const Group<Avx512>& group) {
    const __m512 all = group.r[0];
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  }
};

/// Of attention_i8_impl.h, but for add().
struct Avx512Pairs {
  static constexpr std::size_t kTileRows = 8;
  static constexpr std::size_t kTileGroups = 16;
  using Codes = __m512i;
  using Factors = __m512i;
  using Sums = __m512i;

  static Codes load(const std::int8_t* p) {
    return in_register(_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
  }
  static Factors broadcast(const std::int16_t* p) { return _mm512_set1_epi32(load_pair(p)); }
  /// Has a value computed here, once: compilers would load it again for every use, or keep old and new sums and copy.
  static __m512i in_register(__m512i v) {
    asm("" : "+v"(v));
    return v;
  }
  static Sums zero() { return _mm512_setzero_si512(); }
  static Group<Avx512> to_floats(Sums sums) { return {{_mm512_cvtepi32_ps(sums)}}; }
  static void to_i16(const Group<Avx512>& group, std::int16_t* p) {
    const __m512i ints = _mm512_cvtps_epi32(group.r[0]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(ints));
  }
};

}  // namespace
}  // namespace tern::kernels
