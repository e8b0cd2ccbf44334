#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace tern::kernels {
namespace {

/// Rows of the output head to bytes with AVX2 and F16C; see head_impl.h.
struct HeadRowsAvx2 {
  static void to_bytes(const std::uint16_t* w, float scale, std::uint8_t* q) {
    const auto* halves = reinterpret_cast<const __m128i*>(w);
    store(_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1)), scale, q);
  }
  static void to_bytes(const float* w, float scale, std::uint8_t* q) {
    store(_mm256_loadu_ps(w), _mm256_loadu_ps(w + 8), scale, q);
  }

 private:
  static void store(__m256 a, __m256 b, float scale, std::uint8_t* q) {
    const __m128i signed_bytes = _mm_packs_epi16(to_words(a, scale), to_words(b, scale));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm_xor_si128(signed_bytes, _mm_set1_epi8(-128)));  // + 128
  }
  static __m128i to_words(__m256 w, float scale) {
    const __m256i ints = _mm256_cvtps_epi32(_mm256_mul_ps(w, _mm256_set1_ps(scale)));
    return _mm_packs_epi32(_mm256_castsi256_si128(ints), _mm256_extracti128_si256(ints, 1));
  }
};

}  // namespace
}  // namespace tern::kernels
