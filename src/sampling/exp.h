#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace tern::sampling {

/// e^x for x <= 0 from additions and multiplications alone: a C library's exp may differ in its last bit from the next
/// one's, and one bit can change a draw. Relative error below 1e-15; 0 below e^-700.
[[nodiscard]] inline double exp_of_negative(double x) noexcept {
  if (!(x > -700.0)) return 0.0;  // minus infinity, NaN and everything that would need a subnormal result
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 0x1.62e42feep-1;  // ln 2 in two parts; n * kLn2High is exact for |n| < 2^20
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

  constexpr double kTaylor[] = {1.0 / 6227020800.0,
                                1.0 / 479001600.0,
                                1.0 / 39916800.0,
                                1.0 / 3628800.0,
                                1.0 / 362880.0,
                                1.0 / 40320.0,
                                1.0 / 5040.0,
                                1.0 / 720.0,
                                1.0 / 120.0,
                                1.0 / 24.0,
                                1.0 / 6.0,
                                0.5,
                                1.0,
                                1.0};

  // x = n ln 2 + r with |r| <= ln 2 / 2; the cast truncates, and x is not positive.
  const auto n = static_cast<std::int64_t>(x * kLog2E - 0.5);
  const double r = (x - static_cast<double>(n) * kLn2High) - static_cast<double>(n) * kLn2Low;
  double series = kTaylor[0];  // of e^r in Horner form; the first term left out is r^14 / 14! < 5e-18
  for (std::size_t i = 1; i < std::size(kTaylor); ++i) series = series * r + kTaylor[i];
  return series * std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);  // times 2^n
}

}  // namespace tern::sampling
