#include "src/base/portable_math.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace tern::portable {
namespace {

using internal::kInverseFactorials;
using internal::kLn2High;
using internal::kLn2Low;
using internal::nearest;

// pi / 2 in three parts; n times each of the first two is exact for |n| < 2^20.
constexpr double kHalfPiHigh = 0x1.921fb544p+0;
constexpr double kHalfPiMiddle = 0x1.0b4611a6p-34;
constexpr double kHalfPiLow = 0x1.3198a2e037073p-69;
constexpr double kMaxAngle = 0x1p+20;

/// sin r for |r| <= pi / 4; the first term left out is r^19 / 19! < 1e-19.
double small_sin(double r) noexcept {
  const double square = r * r;
  double series = kInverseFactorials[17];
  double sign = -1.0;
  for (std::size_t n = 15; n >= 3; n -= 2, sign = -sign) series = series * square + sign * kInverseFactorials[n];
  return r + r * square * series;
}

/// cos r for |r| <= pi / 4; the first term left out is r^20 / 20! < 4e-21.
double small_cos(double r) noexcept {
  const double square = r * r;
  double series = -kInverseFactorials[18];
  double sign = 1.0;
  for (std::size_t n = 16; n >= 4; n -= 2, sign = -sign) series = series * square + sign * kInverseFactorials[n];
  return 1.0 - (0.5 * square - square * square * series);
}

}  // namespace

double log(double x) noexcept {
  int exponent = 0;
  double fraction = std::frexp(x, &exponent);  // exact: x = fraction * 2^exponent, 1/2 <= fraction < 1
  if (fraction < std::numbers::sqrt2 / 2.0) {
    fraction *= 2.0;
    --exponent;
  }
  // ln f = 2 artanh s = 2 (s + s^3 / 3 + s^5 / 5 + ...) with s = (f - 1) / (f + 1), |s| <= 0.172
  const double s = (fraction - 1.0) / (fraction + 1.0);
  const double square = s * s;
  double series = 1.0 / 21.0;  // the first term left out is s^23 / 23 < 2e-19
  for (int n = 19; n >= 3; n -= 2) series = series * square + 1.0 / static_cast<double>(n);
  const double n = static_cast<double>(exponent);
  return n * kLn2High + (2.0 * s + (2.0 * s * square * series + n * kLn2Low));
}

double pow(double base, double exponent) noexcept { return exp(exponent * log(base)); }

SinCos sin_cos(double angle) noexcept {
  if (!std::isfinite(angle)) return {angle - angle, angle - angle};
  if (std::abs(angle) > kMaxAngle) angle = std::remainder(angle, 2.0 * std::numbers::pi);  // exact, and so the same

  // angle = n pi / 2 + r with |r| <= pi / 4
  const std::int64_t n = nearest(angle * (2.0 / std::numbers::pi));
  const auto quarters = static_cast<double>(n);
  const double r = ((angle - quarters * kHalfPiHigh) - quarters * kHalfPiMiddle) - quarters * kHalfPiLow;
  const double sin = small_sin(r);
  const double cos = small_cos(r);
  switch (n & 3) {
    case 0:
      return {sin, cos};
    case 1:
      return {cos, -sin};
    case 2:
      return {-sin, -cos};
    default:
      return {-cos, sin};
  }
}

}  // namespace tern::portable
