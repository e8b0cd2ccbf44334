#pragma once

#include <cstddef>

/// Numbers that every table of float kernels must agree on, bit for bit.
namespace tern::kernels {

inline constexpr std::size_t kLanes = 16;  // virtual lanes of a sum: element i goes to lane i mod 16

inline constexpr float kMaxFloat = 0x1.fffffep127f;
inline constexpr float kQuantMax = 127.0f;   // codes of quantize() lie in [-127, 127]
inline constexpr float kQuantFloor = 1e-5f;  // a row quieter than this is quantized as if its largest element were this
inline constexpr float kRoundShift = 0x1.8p23f;  // x + this, for |x| < 2^22, has round-half-even(x) in its low bits
inline constexpr double kRoundShiftDouble = 0x1.8p52;  // x + this - this is round-half-even(x) for |x| < 2^51

/// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln(2) / 2 (Cody and Waite: ln 2 in two pieces, so that n times
/// the first is exact), exp(r) = 1 + r + r^2 * P(r), where P is a least-maximum fit: relative error of the
/// whole 3.1e-9.
struct ExpConstants {
  static constexpr float kMin = -104.0f;  // exp of it is less than half the smallest subnormal: 0
  static constexpr float kMax = 89.0f;    // exp of it is beyond the largest float: infinity
  static constexpr float kLog2E = 0x1.715476p+0f;
  static constexpr float kLn2High = 0x1.62e4p-1f;  // 15 significant bits; n has 8
  static constexpr float kLn2Low = 0x1.7f7d1cp-20f;
  static constexpr float kP0 = 0x1.fffffcp-2f;
  static constexpr float kP1 = 0x1.555492p-3f;
  static constexpr float kP2 = 0x1.5558f2p-5f;
  static constexpr float kP3 = 0x1.1239f2p-7f;
  static constexpr float kP4 = 0x1.6a2416p-10f;
};

/// gelu(z) = 0.5 z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) = z / (1 + exp(-t)), t = z (kLinear + kCubic z^2): the
/// same, since (1 + tanh(t / 2)) / 2 = 1 / (1 + exp(-t)).
/// Source    Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2
struct GeluConstants {
  static constexpr float kLinear = 1.59576912f;   // 2 sqrt(2 / pi)
  static constexpr float kCubic = 0.0713548163f;  // the same times 0.044715
};

}  // namespace tern::kernels
