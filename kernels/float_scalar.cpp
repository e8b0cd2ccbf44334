#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/float_constants.h"
#include "kernels/float_tables.h"
#include "kernels/scalar_math.h"

// The float kernels in plain C++: what runs where nothing better does, and what every vector table must equal bit for
// bit. It shares no code with them, only constants.
namespace tern::kernels {
namespace {

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

void scale_sums_by_row(const std::int32_t* sums, std::size_t n, double scale, const float* row_scales, float* y) {
  for (std::size_t i = 0; i < n; ++i) {
    y[i] = static_cast<float>(static_cast<double>(sums[i]) * (scale * double{row_scales[i]}));
  }
}

void add_scaled_sums(const std::int32_t* sums, std::size_t n, float scale, const std::uint16_t* row_scales,
                     bool accumulate, float* y) {
  for (std::size_t i = 0; i < n; ++i) {
    const float value = static_cast<float>(sums[i]) * (scale * half_to_float(row_scales[i]));
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

void gelu_mul(const float* gate, const float* up, std::size_t n, float* y) {
  using C = GeluConstants;
  for (std::size_t i = 0; i < n; ++i) {
    const float t = gate[i] * (C::kLinear + C::kCubic * (gate[i] * gate[i]));
    y[i] = gate[i] / (1.0f + exp_shared(-t)) * up[i];
  }
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

}  // namespace

constinit const FloatKernels kFloatScalar = {
    .name = "float-scalar",
    .isa = Isa::kScalar,
    .rms_norm = rms_norm,
    .quantize = quantize,
    .scale_sums = scale_sums,
    .scale_sums_by_row = scale_sums_by_row,
    .add_scaled_sums = add_scaled_sums,
    .add = add,
    .scale = scale,
    .silu_mul = silu_mul,
    .gelu_mul = gelu_mul,
    .relu2_mul = relu2_mul,
    .rope_neox = rope_neox,
    .rope_norm = rope_norm,
    .f16_to_f32 = f16_to_f32,
    .f32_to_f16 = f32_to_f16,
    .dot_rows_f32 = dot_rows<float>,
    .dot_rows_f16 = dot_rows<std::uint16_t>,
};

}  // namespace tern::kernels
