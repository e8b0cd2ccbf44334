#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <numbers>

/// Functions of doubles from additions, multiplications and divisions alone, in a fixed order: the same bits on every
/// machine. Those of a C library may differ in the last bit from the next one's, and even between two processors, and
/// one bit can change a token.
namespace tern::portable {
namespace internal {

// ln 2 in two parts; n * kLn2High is exact for |n| < 2^20.
inline constexpr double kLn2High = 0x1.62e42feep-1;
inline constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

/// 1 / n!
inline constexpr std::array<double, 19> kInverseFactorials = [] {
  std::array<double, 19> inverse{1.0};
  double product = 1.0;  // exact up to 18!
  for (std::size_t n = 1; n < inverse.size(); ++n) inverse[n] = 1.0 / (product *= static_cast<double>(n));
  return inverse;
}();

/// The nearest integer; halves away from zero.
[[nodiscard]] inline std::int64_t nearest(double x) noexcept {
  return static_cast<std::int64_t>(x < 0.0 ? x - 0.5 : x + 0.5);
}

}  // namespace internal

/// e^x; relative error below 2e-15. 0 below e^-700 and for NaN, infinity above e^700.
[[nodiscard]] inline double exp(double x) noexcept {  // in the header: samplers take it of every logit
  using namespace internal;
  if (!(x > -700.0)) return 0.0;  // minus infinity, NaN and everything that would need a subnormal result
  if (x > 700.0) return std::numeric_limits<double>::infinity();

  // x = n ln 2 + r with |r| <= ln 2 / 2
  const std::int64_t n = nearest(x * std::numbers::log2e);
  const double r = (x - static_cast<double>(n) * kLn2High) - static_cast<double>(n) * kLn2Low;
  double series = kInverseFactorials[13];  // of e^r in Horner form; the first term left out is r^14 / 14! < 5e-18
  for (std::size_t i = 13; i-- > 0;) series = series * r + kInverseFactorials[i];
  return series * std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);  // times 2^n
}

/// ln x of a positive, finite, normal x; relative error below 5e-16, or 1e-16 absolutely near 1.
[[nodiscard]] double log(double x) noexcept;

/// base^exponent of a positive, finite base; relative error below 2e-15 + 5e-16 * |exponent * ln base|.
[[nodiscard]] double pow(double base, double exponent) noexcept;

struct SinCos {
  double sin;
  double cos;
};

/// Both of an angle in radians; error below 3e-16 up to 2^20, NaN of what is not finite. Larger angles are first taken
/// modulo the double nearest to 2 pi.
[[nodiscard]] SinCos sin_cos(double angle) noexcept;

}  // namespace tern::portable
