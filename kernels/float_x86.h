#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/float_group.h"

/// What the x86-64 instruction sets share: comparisons, and the last steps of a sum, in four lanes.
namespace tern::kernels {
namespace {

struct X86 {
  /// maxps and minps are defined as a > b ? a : b and a < b ? a : b.
  template <typename R>
  static R larger(R a, R b) {
    return xsimd::max(a, b);
  }
  template <typename R>
  static R smaller(R a, R b) {
    return xsimd::min(a, b);
  }

  template <typename R>
  static R divide(R a, R b) {
    return a / b;
  }

  /// (q0 + q2) + (q1 + q3)
  static float sum_quad(__m128 q) {
    const __m128 pairs = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)));
  }

  /// sum_quad() of four quads at once: transposed, lane i of all four is one register.
  static __m128 sum_four_quads(__m128 a, __m128 b, __m128 c, __m128 d) {
    const __m128 ab_low = _mm_unpacklo_ps(a, b);   // a0 b0 a1 b1
    const __m128 ab_high = _mm_unpackhi_ps(a, b);  // a2 b2 a3 b3
    const __m128 cd_low = _mm_unpacklo_ps(c, d);
    const __m128 cd_high = _mm_unpackhi_ps(c, d);
    const __m128 ab = _mm_add_ps(ab_low, ab_high);  // a0+a2 b0+b2 a1+a3 b1+b3
    const __m128 cd = _mm_add_ps(cd_low, cd_high);
    return _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
  }
};

/// sum() and store_sums() from an instruction set's way to fold a group into a quad.
template <typename Isa>
struct X86Sums : X86 {
  template <typename G>
  static float sum(const G& group) {
    return sum_quad(Isa::fold(group));
  }
  template <typename G>
  static void store_sums(const G (&g)[2], float* p) {
    p[0] = sum(g[0]);
    p[1] = sum(g[1]);
  }
  template <typename G>
  static void store_sums(const G (&g)[4], float* p) {
    _mm_storeu_ps(p, sum_four_quads(Isa::fold(g[0]), Isa::fold(g[1]), Isa::fold(g[2]), Isa::fold(g[3])));
  }
};

/// Two neighbours of 16 bits as one of 32.
inline std::int32_t load_pair(const std::int16_t* p) {
  std::int32_t pair;
  std::memcpy(&pair, p, sizeof pair);
  return pair;
}

}  // namespace
}  // namespace tern::kernels
