#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/float_constants.h"
#include "kernels/float_tables.h"

// The float kernels in plain C++: what runs where nothing better does, and what every vector table must equal bit for
// bit. It shares no code with them, only constants.
namespace tern::kernels {
namespace {

/// Adds lane i + half to lane i for half = 8, 4, 2, 1.
template <typename T>
T sum_lanes(T (&lanes)[kLanes]) {
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) lanes[i] = lanes[i] + lanes[i + half];
  }
  return lanes[0];
}

/// See ExpConstants. NaN gives NaN: both comparisons are false for it.
float exp_shared(float x) {
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

float half_to_float(std::uint16_t half) {
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

std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7e00u | (bits >> 13 & 0x3ffu));
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) return static_cast<std::uint16_t>(sign | 0x7c00u);  // the middle of 65504 and 65536
  // One unit in the last place of the result is 2^(exponent - 10); below the normal numbers it stays 2^-24.
  const int exponent = magnitude < 0x1p-14f ? -14 : std::ilogb(magnitude);
  const auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // 1024 units are the hidden bit, which adds one to the exponent field; so does a carry to 2048.
  return static_cast<std::uint16_t>(sign | (static_cast<std::uint32_t>(exponent + 14) * 1024u + units));
}

float to_float(float x) { return x; }
float to_float(std::uint16_t x) { return half_to_float(x); }

void rms_norm(const float* x, const float* weight, std::size_t n, float eps, float* y) {
  double lanes[kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) lanes[i % kLanes] += double{x[i]} * double{x[i]};
  const double inverse = 1.0 / std::sqrt(sum_lanes(lanes) / static_cast<double>(n) + double{eps});
  for (std::size_t i = 0; i < n; ++i) y[i] = static_cast<float>((double{x[i]} * inverse) * double{weight[i]});
}

double quantize(const float* x, std::size_t n, std::int8_t* q) {
  float largest = kQuantFloor;
  for (std::size_t i = 0; i < n; ++i) {
    if (std::fabs(x[i]) > largest) largest = std::fabs(x[i]);
  }
  if (largest > kMaxFloat) largest = kMaxFloat;
  const double scale = 127.0 / double{largest};
  for (std::size_t i = 0; i < n; ++i) {
    double v = std::nearbyint(double{x[i]} * scale);
    if (std::isnan(v)) v = 0.0;
    if (v > 127.0) v = 127.0;
    if (v < -127.0) v = -127.0;
    q[i] = static_cast<std::int8_t>(v);
  }
  return double{largest} / 127.0;
}

void scale_sums(const std::int32_t* sums, std::size_t n, double scale, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = static_cast<float>(static_cast<double>(sums[i]) * scale);
}

void scale_sums_by_row(const std::int32_t* sums, std::size_t n, double scale, const float* row_scales, bool accumulate,
                       float* y) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto value = static_cast<float>(static_cast<double>(sums[i]) * (scale * double{row_scales[i]}));
    y[i] = accumulate ? y[i] + value : value;
  }
}

void add(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = y[i] + x[i];
}

void scale(float s, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = y[i] * s;
}

void silu_mul(const float* gate, const float* up, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = gate[i] / (1.0f + exp_shared(-gate[i])) * up[i];
}

void relu2_mul(const float* gate, const float* up, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) {
    const float positive = 0.0f > gate[i] ? 0.0f : gate[i];  // NaN stays
    y[i] = positive * positive * up[i];
  }
}

void rope_neox(float* x, const float* cos, const float* sin, std::size_t n) {
  for (std::size_t i = 0; i < n / 2; ++i) {
    const float a = x[i];
    const float b = x[i + n / 2];
    x[i] = a * cos[i] - b * sin[i];
    x[i + n / 2] = a * sin[i] + b * cos[i];
  }
}

void rope_norm(float* x, const float* cos, const float* sin, std::size_t n) {
  for (std::size_t i = 0; i < n / 2; ++i) {
    const float a = x[2 * i];
    const float b = x[2 * i + 1];
    x[2 * i] = a * cos[i] - b * sin[i];
    x[2 * i + 1] = a * sin[i] + b * cos[i];
  }
}

void f16_to_f32(const std::uint16_t* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = half_to_float(x[i]);
}

void f32_to_f16(const float* x, std::size_t n, std::uint16_t* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = float_to_half(x[i]);
}

template <typename Element>
void dot_rows(const Element* rows, std::size_t stride, std::size_t n_rows, const float* x, std::size_t n, float* y) {
  for (std::size_t r = 0; r < n_rows; ++r) {
    float lanes[kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lanes[i % kLanes] += to_float(rows[r * stride + i]) * x[i];
    y[r] = sum_lanes(lanes);
  }
}

void softmax(float* scores, std::size_t n) {
  float largest = -HUGE_VALF;
  for (std::size_t i = 0; i < n; ++i) {
    if (scores[i] > largest) largest = scores[i];
  }
  float lanes[kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) {
    scores[i] = exp_shared(scores[i] - largest);
    lanes[i % kLanes] += scores[i];
  }
  const float inverse = 1.0f / sum_lanes(lanes);
  for (std::size_t i = 0; i < n; ++i) scores[i] = scores[i] * inverse;
}

template <typename Element>
void weighted_sum(const Element* rows, std::size_t stride, std::size_t n_rows, const float* weights, std::size_t n,
                  float* y) {
  for (std::size_t d = 0; d < n; ++d) y[d] = 0.0f;
  for (std::size_t i = 0; i < n_rows; ++i) {
    for (std::size_t d = 0; d < n; ++d) y[d] = y[d] + weights[i] * to_float(rows[i * stride + d]);
  }
}

}  // namespace

constinit const FloatKernels kFloatScalar = {
    .name = "float-scalar",
    .isa = Isa::kScalar,
    .rms_norm = rms_norm,
    .quantize = quantize,
    .scale_sums = scale_sums,
    .scale_sums_by_row = scale_sums_by_row,
    .add = add,
    .scale = scale,
    .silu_mul = silu_mul,
    .relu2_mul = relu2_mul,
    .rope_neox = rope_neox,
    .rope_norm = rope_norm,
    .f16_to_f32 = f16_to_f32,
    .f32_to_f16 = f32_to_f16,
    .dot_rows_f32 = dot_rows<float>,
    .dot_rows_f16 = dot_rows<std::uint16_t>,
    .softmax = softmax,
    .weighted_sum_f32 = weighted_sum<float>,
    .weighted_sum_f16 = weighted_sum<std::uint16_t>,
};

}  // namespace tern::kernels
