#pragma once

// Scaling sums and adding them up, for kernels that multiply. Included by those kernels; all names are local to the
// including file (see kernels.h).

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "kernels/block_scales.h"

namespace tern::kernels {
namespace {

// Lanes of one register: floats of sums and of f16 numbers, and the three operations on them, none of them fused.
#if defined(__AVX512F__)

struct FloatLanes {
  static constexpr std::size_t kSize = 16;
  __m512 v;

  static FloatLanes all(float x) { return {_mm512_set1_ps(x)}; }
  static FloatLanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static FloatLanes of_halves(const std::uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static FloatLanes of_ints(const std::int32_t* p) { return {_mm512_cvtepi32_ps(_mm512_load_si512(p))}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  friend FloatLanes operator+(FloatLanes a, FloatLanes b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend FloatLanes operator*(FloatLanes a, FloatLanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
};

#elif defined(__x86_64__)

struct FloatLanes {
  static constexpr std::size_t kSize = 8;
  __m256 v;

  static FloatLanes all(float x) { return {_mm256_set1_ps(x)}; }
  static FloatLanes load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static FloatLanes of_halves(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static FloatLanes of_ints(const std::int32_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  friend FloatLanes operator+(FloatLanes a, FloatLanes b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend FloatLanes operator*(FloatLanes a, FloatLanes b) { return {_mm256_mul_ps(a.v, b.v)}; }
};

#elif defined(__aarch64__)

struct FloatLanes {
  static constexpr std::size_t kSize = 4;
  float32x4_t v;

  static FloatLanes all(float x) { return {vdupq_n_f32(x)}; }
  static FloatLanes load(const float* p) { return {vld1q_f32(p)}; }
  static FloatLanes of_halves(const std::uint16_t* p) { return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))}; }
  static FloatLanes of_ints(const std::int32_t* p) { return {vcvtq_f32_s32(vld1q_s32(p))}; }
  void store(float* p) const { vst1q_f32(p, v); }
  friend FloatLanes operator+(FloatLanes a, FloatLanes b) { return {vaddq_f32(a.v, b.v)}; }
  friend FloatLanes operator*(FloatLanes a, FloatLanes b) { return {vmulq_f32(a.v, b.v)}; }
};

#endif

/// Where totals begin: x + -0 is x, of whatever sign a zero is.
constexpr float kNoTotal = -0.0f;

/// Adds the scaled sums of a block of columns to the totals of `n` tokens, (n, kRows) both and 64-byte aligned. steps,
/// row_scales: of the first of them
template <std::size_t kRows>
inline void add_scaled(const std::int32_t* sums, std::size_t n, const double* steps, const std::uint16_t* row_scales,
                       float* totals) {
  static_assert(kRows % FloatLanes::kSize == 0);
  FloatLanes scales[kRows / FloatLanes::kSize];
  for (std::size_t i = 0; i < kRows; i += FloatLanes::kSize) {
    scales[i / FloatLanes::kSize] = FloatLanes::of_halves(row_scales + i);
  }
  for (std::size_t t = 0; t < n; ++t, sums += kRows, totals += kRows) {
    const FloatLanes step = FloatLanes::all(static_cast<float>(steps[t]));
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kRows; i += FloatLanes::kSize) {
      const FloatLanes value = FloatLanes::of_ints(sums + i) * (step * scales[i / FloatLanes::kSize]);
      (FloatLanes::load(totals + i) + value).store(totals + i);
    }
  }
}

}  // namespace
}  // namespace tern::kernels
