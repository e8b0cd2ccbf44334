#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace tern::kernels {
namespace {

/// Rows of the output head to bytes with AVX-512 F; see head_impl.h.
struct HeadRowsAvx512 {
  static void to_bytes(const std::uint16_t* w, float scale, std::uint8_t* q) {
    store(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w))), scale, q);
  }
  static void to_bytes(const float* w, float scale, std::uint8_t* q) { store(_mm512_loadu_ps(w), scale, q); }

 private:
  static void store(__m512 w, float scale, std::uint8_t* q) {
    const __m512i ints = _mm512_cvtps_epi32(_mm512_mul_ps(w, _mm512_set1_ps(scale)));
    const __m128i bytes = _mm_xor_si128(_mm512_cvtepi32_epi8(ints), _mm_set1_epi8(-128));  // + 128
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q), bytes);
  }
};

}  // namespace
}  // namespace tern::kernels
