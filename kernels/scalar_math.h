#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/float_constants.h"

/// What the scalar tables share: plain C++, no code in common with the vector tables.
namespace tern::kernels {
namespace {

/// Adds lane i + half to lane i for half = 8, 4, 2, 1.
template <typename T>
inline T sum_lanes(T (&lanes)[kLanes]) {
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) lanes[i] = lanes[i] + lanes[i + half];
  }
  return lanes[0];
}

/// See ExpConstants. NaN gives NaN: both comparisons are false for it.
inline float exp_shared(float x) {
  using C = ExpConstants;
  if (C::kMin > x) x = C::kMin;
  if (C::kMax < x) x = C::kMax;
  const float shifted = x * C::kLog2E + kRoundShift;
  const float n = shifted - kRoundShift;
  const float r = (x - n * C::kLn2High) - n * C::kLn2Low;
  const float p = (((C::kP4 * r + C::kP3) * r + C::kP2) * r + C::kP1) * r + C::kP0;
  const float exp_r = 1.0f + (r + p * (r * r));
  // 2^n in two steps: n reaches from -150 to 128, and the exponents of a float only from -126 to 127.
  const std::int32_t exponent = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRoundShift);
  const std::int32_t half = exponent >> 1;
  const auto power_of_two = [](std::int32_t e) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(e + 127) << 23);
  };
  return exp_r * power_of_two(half) * power_of_two(exponent - half);
}

inline float half_to_float(std::uint16_t half) {
  const float sign = (half & 0x8000u) != 0 ? -1.0f : 1.0f;
  const int exponent = half >> 10 & 0x1f;
  const std::uint32_t fraction = half & 0x3ffu;
  if (exponent == 31 && fraction != 0) {
    // NaN: keeps its payload and becomes quiet, as the F16C instruction does it.
    return std::bit_cast<float>((half & 0x8000u) << 16 | 0x7fc00000u | fraction << 13);
  }
  if (exponent == 31) return sign * HUGE_VALF;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

inline float to_float(float x) { return x; }
inline float to_float(std::uint16_t x) { return half_to_float(x); }

}  // namespace
}  // namespace tern::kernels
