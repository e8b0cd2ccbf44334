// The output head in plain C++: what every other table must equal bit for bit. It shares no code with them.
#include <cmath>
#include <cstring>

#include "kernels/float_tables.h"
#include "kernels/head_tables.h"

namespace tern::kernels {
namespace {

float to_float(float w) { return w; }
float to_float(std::uint16_t half) {
  float w = 0.0f;
  kFloatScalar.f16_to_f32(&half, 1, &w);
  return w;
}

template <typename Element>
float quantize_row(const Element* w, std::size_t cols, std::uint8_t* q) {
  float largest = kHeadFloor;
  for (std::size_t c = 0; c < cols; ++c) {
    const float magnitude = std::fabs(to_float(w[c]));
    if (!std::isfinite(magnitude)) return magnitude;
    if (magnitude > largest) largest = magnitude;
  }
  const float scale = 127.0f / largest;
  for (std::size_t c = 0; c < cols; ++c) {
    q[c] = static_cast<std::uint8_t>(128 + static_cast<int>(std::nearbyint(to_float(w[c]) * scale)));
  }
  return largest / 127.0f;
}

// The operand of a token is a double, the step, and behind its 64 bytes the hidden state as 32-bit integers.
constexpr std::size_t kHeaderBytes = 64;

std::size_t token_bytes(std::size_t cols) { return (kHeaderBytes + 4 * cols + 63) / 64 * 64; }

std::size_t operand_bytes(std::size_t n_tokens, std::size_t cols) { return n_tokens * token_bytes(cols); }

void quantize_hidden(const float* h, std::size_t cols, HeadToken token, std::uint8_t* operand) {
  operand += token.index * token_bytes(cols);
  double largest = double{kHeadFloor};
  for (std::size_t c = 0; c < cols; ++c) {
    if (std::fabs(double{h[c]}) > largest) largest = std::fabs(double{h[c]});
  }
  largest = std::fmin(largest, double{0x1.fffffep127f});  // the largest float
  const double scale = kHeadMaxHidden / largest;
  for (std::size_t c = 0; c < cols; ++c) {
    double v = std::nearbyint(double{h[c]} * scale);
    if (std::isnan(v)) v = 0.0;
    v = std::fmax(std::fmin(v, kHeadMaxHidden), -kHeadMaxHidden);
    const auto x = static_cast<std::int32_t>(v);
    std::memcpy(operand + kHeaderBytes + sizeof x * c, &x, sizeof x);
  }
  const double step = largest / kHeadMaxHidden;
  std::memcpy(operand, &step, sizeof step);
}

void multiply(const HeadProduct& p) {
  for (std::size_t t = 0; t < p.n_tokens; ++t) {
    const std::uint8_t* operand = p.operand + t * token_bytes(p.cols);
    const auto* x = reinterpret_cast<const std::int32_t*>(operand + kHeaderBytes);
    double step = 0.0;
    std::memcpy(&step, operand, sizeof step);
    for (std::size_t r = p.row_begin; r < p.row_end; ++r) {
      std::int64_t sum = 0;
      for (std::size_t c = 0; c < p.cols; ++c) sum += (p.rows[r * p.stride + c] - 128) * x[c];
      p.y[t * p.y_stride + r] = static_cast<float>(static_cast<double>(sum) * (double{p.scales[r]} * step));
    }
  }
}

}  // namespace

constinit const HeadKernels kHeadScalar = {.name = "head-scalar",
                                           .isa = Isa::kScalar,
                                           .quantize_row_f16 = quantize_row<std::uint16_t>,
                                           .quantize_row_f32 = quantize_row<float>,
                                           .operand_bytes = operand_bytes,
                                           .quantize_hidden = quantize_hidden,
                                           .multiply = multiply};

}  // namespace tern::kernels
