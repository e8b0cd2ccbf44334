#pragma once

// Vectors of tokens for addsub_prompt.h, by NEON. Included by addsub_neon.cpp; all names are local to that file (see
// kernels.h).

#include <arm_neon.h>

#include <cstring>

#include "kernels/addsub_prompt_operand.h"

namespace tern::kernels {
namespace {

/// Squares of 8 x 8, transposed.
struct NeonTransposes {
  /// Transposes 8 tokens x 8 columns, `stride` bytes from token to token, to int16 (8 columns, kTokens).
  static void tokens(const std::int8_t* x, std::size_t stride, std::int16_t* columns) {
    int16x8_t v[8];
    for (std::size_t t = 0; t < 8; ++t) {
      v[t] = vmovl_s8(vld1_s8(x + t * stride));
    }
    // Three rounds of "interleave register i with register i + 4" transpose 8 x 8.
    for (int round = 0; round < 3; ++round) {
      int16x8_t w[8];
      for (std::size_t i = 0; i < 4; ++i) {
        w[2 * i] = vzip1q_s16(v[i], v[i + 4]);
        w[2 * i + 1] = vzip2q_s16(v[i], v[i + 4]);
      }
      std::memcpy(v, w, sizeof v);
    }
    for (std::size_t c = 0; c < 8; ++c) {
      vst1q_s16(columns + c * kTokens, v[c]);
    }
  }

  /// Widens and transposes 8 rows x 8 tokens of sums, (8, kTokens). wide: further sums, or null. out: (8, `stride`).
  static void sums(const std::int16_t* narrow, const std::int32_t* wide, std::int32_t* out, std::size_t stride) {
    for (std::size_t row = 0; row < 8; row += 4) {
      for (std::size_t token = 0; token < 8; token += 4) {
        const std::size_t at = row * kTokens + token;
        quarter(narrow + at, wide != nullptr ? wide + at : nullptr, out + token * stride + row, stride);
      }
    }
  }

 private:
  /// 4 rows x 4 tokens.
  static void quarter(const std::int16_t* narrow, const std::int32_t* wide, std::int32_t* out, std::size_t stride) {
    int32x4_t v[4];
    for (std::size_t r = 0; r < 4; ++r) {
      v[r] = vmovl_s16(vld1_s16(narrow + r * kTokens));
      if (wide != nullptr) v[r] = vaddq_s32(v[r], vld1q_s32(wide + r * kTokens));
    }
    // Two rounds of "interleave register i with register i + 2" transpose 4 x 4.
    for (int round = 0; round < 2; ++round) {
      const int32x4_t w[4] = {vzip1q_s32(v[0], v[2]), vzip2q_s32(v[0], v[2]), vzip1q_s32(v[1], v[3]),
                              vzip2q_s32(v[1], v[3])};
      std::memcpy(v, w, sizeof v);
    }
    for (std::size_t t = 0; t < 4; ++t) {
      vst1q_s32(out + t * stride, v[t]);
    }
  }
};

/// 16-bit sums of 8 tokens.
struct EightTokens {
  static constexpr std::size_t kSize = 8;
  using Half = EightTokens;
  using Transposes = NeonTransposes;
  int16x8_t v;

  static EightTokens zero() { return {vdupq_n_s16(0)}; }
  static EightTokens load(const std::int16_t* p) { return {vld1q_s16(p)}; }
  void store(std::int16_t* p) const { vst1q_s16(p, v); }
  // Unsigned, as far as the compiler knows: it may take vaddq_s16() for an addition that never overflows.
  static EightTokens add(EightTokens a, EightTokens b) {
    return {vreinterpretq_s16_u16(vaddq_u16(vreinterpretq_u16_s16(a.v), vreinterpretq_u16_s16(b.v)))};
  }
  static EightTokens sub(EightTokens a, EightTokens b) {
    return {vreinterpretq_s16_u16(vsubq_u16(vreinterpretq_u16_s16(a.v), vreinterpretq_u16_s16(b.v)))};
  }
  static EightTokens magnitude(EightTokens a) { return {vabsq_s16(a.v)}; }
  static bool any_negative(EightTokens a) { return vminvq_s16(a.v) < 0; }
  /// Whether no lane of add() overflows.
  static bool fits(EightTokens a, EightTokens b) {
    return vminvq_u16(vceqq_s16(add(a, b).v, vqaddq_s16(a.v, b.v))) != 0;
  }
  /// Adds to 8 sums of 32 bits.
  void add_to(std::int32_t* p) const {
    vst1q_s32(p, vaddw_s16(vld1q_s32(p), vget_low_s16(v)));
    vst1q_s32(p + 4, vaddw_high_s16(vld1q_s32(p + 4), v));
  }
};

}  // namespace
}  // namespace tern::kernels
