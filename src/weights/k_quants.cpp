// Q4_K, Q5_K, Q6_K: blocks of 256 whose sub-blocks have small integer scales of their own.

#include <algorithm>
#include <cmath>

#include "src/base/half.h"
#include "src/format/byte_reader.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

constexpr std::size_t kElements = 256;

// --- Q4_K and Q5_K: value = d * scale[s] * q - dmin * min[s], eight sub-blocks s of 32 elements --------------
//
//   Q4_K  Q5_K
//   0     0     f16 d
//   2     2     f16 dmin
//   4     4     12 bytes: eight 6-bit scales and eight 6-bit mins
//   -     16    32 bytes: bit s of byte m is bit 4 of element 32s + m
//   16    48    128 bytes: byte 32p + m holds bits 3..0 of element 64p + m (low nibble) and 64p + 32 + m (high)

constexpr std::size_t kSubBlocks = 8;
constexpr std::size_t kSubBlock = kElements / kSubBlocks;
constexpr std::size_t kScalesAt = 4;
constexpr std::size_t kScaleBytes = kSubBlocks * 2 * 6 / 8;
constexpr std::size_t kQ4KBytes = kScalesAt + kScaleBytes + kElements / 2;
constexpr std::size_t kQ5KBytes = kQ4KBytes + kElements / 8;
static_assert(kQ4KBytes == 144 && kQ5KBytes == 176);

struct ScaleMin {
  int scale;
  int min;
};

/// The twelve bytes b hold, for s < 4:  scale[s] = b[s] bits 5..0,  min[s] = b[s + 4] bits 5..0,
/// and for s >= 4, low and high parts:  scale[s] = b[s + 4] bits 3..0, b[s - 4] bits 7..6;
///                                      min[s] = b[s + 4] bits 7..4, b[s] bits 7..6.
ScaleMin unpack_scale(const std::uint8_t* b, std::size_t s) {
  if (s < 4) return {b[s] & 63, b[s + 4] & 63};
  return {(b[s + 4] & 15) | b[s - 4] >> 6 << 4, b[s + 4] >> 4 | b[s] >> 6 << 4};
}

/// `high`: the bytes with bit 4 of every element, or nullptr for Q4_K.
void decode_sub_blocks(const std::byte* block, const std::uint8_t* high, const std::uint8_t* nibbles, float* values) {
  const float d = f16_to_f32(format::load<std::uint16_t>(block));
  const float dmin = f16_to_f32(format::load<std::uint16_t>(block + 2));
  const auto* packed = reinterpret_cast<const std::uint8_t*>(block) + kScalesAt;
  for (std::size_t s = 0; s < kSubBlocks; ++s) {
    const auto [scale, min] = unpack_scale(packed, s);
    const float step = d * static_cast<float>(scale);
    const float offset = dmin * static_cast<float>(min);
    for (std::size_t m = 0; m < kSubBlock; ++m) {
      const int low = nibbles[s / 2 * kSubBlock + m] >> (s % 2 * 4) & 15;
      const int fifth = high == nullptr ? 0 : (high[m] >> s & 1) << 4;
      values[s * kSubBlock + m] = step * static_cast<float>(low | fifth) - offset;
    }
  }
}

void decode_q4_k(const std::byte* row, std::size_t cols, float* values) {
  for (std::size_t begin = 0; begin < cols; begin += kElements, row += kQ4KBytes) {
    const auto* after_scales = reinterpret_cast<const std::uint8_t*>(row) + kScalesAt + kScaleBytes;
    decode_sub_blocks(row, nullptr, after_scales, values + begin);
  }
}

void decode_q5_k(const std::byte* row, std::size_t cols, float* values) {
  for (std::size_t begin = 0; begin < cols; begin += kElements, row += kQ5KBytes) {
    const auto* after_scales = reinterpret_cast<const std::uint8_t*>(row) + kScalesAt + kScaleBytes;
    decode_sub_blocks(row, after_scales, after_scales + kElements / 8, values + begin);
  }
}

// --- Q6_K: value = d * scale[e / 16] * (q - 32), sixteen sub-blocks of 16 elements ---------------------------
//
//   0     128 bytes: bits 3..0 of every element; for the half h (0, 1) of the block and m = 0 .. 31,
//           byte 64h + m       low nibble: element 128h + m,       high nibble: element 128h + 64 + m
//           byte 64h + 32 + m  low nibble: element 128h + 32 + m,  high nibble: element 128h + 96 + m
//   128   64 bytes: bits 5..4; byte 32h + m, bits 2g+1..2g: element 128h + 32g + m
//   192   16 signed bytes: scale of each sub-block
//   208   f16 d

constexpr std::size_t kHighAt = kElements / 2;
constexpr std::size_t kQ6ScalesAt = kHighAt + kElements / 4;
constexpr std::size_t kQ6DAt = kQ6ScalesAt + kElements / 16;
constexpr std::size_t kQ6KBytes = kQ6DAt + sizeof(std::uint16_t);
static_assert(kQ6KBytes == 210);

/// Bits 5..0 of element e.
int q6_code(const std::uint8_t* block, std::size_t e) {
  const std::size_t half = e / 128;
  const std::size_t group = e / 32 % 4;
  const std::size_t m = e % 32;
  const int low = block[64 * half + group % 2 * 32 + m] >> (group / 2 * 4) & 15;
  const int high = block[kHighAt + 32 * half + m] >> (2 * group) & 3;
  return low | high << 4;
}

void decode_q6_k(const std::byte* row, std::size_t cols, float* values) {
  for (std::size_t begin = 0; begin < cols; begin += kElements, row += kQ6KBytes) {
    const auto* block = reinterpret_cast<const std::uint8_t*>(row);
    const float d = f16_to_f32(format::load<std::uint16_t>(row + kQ6DAt));
    for (std::size_t s = 0; s < kElements / 16; ++s) {
      const float step = d * static_cast<float>(format::load<std::int8_t>(row + kQ6ScalesAt + s));
      for (std::size_t e = 16 * s; e < 16 * s + 16; ++e) {
        values[begin + e] = step * static_cast<float>(q6_code(block, e) - 32);
      }
    }
  }
}

// Writing Q6_K. A sub-block's scale is the one of 19 candidates whose codes, with the scale that then suits them best,
// leave the least error when a value counts by its square. Source: the search of ggml's reference quantizer

constexpr int kQ6Max = 32;  // codes are -32 .. 31
constexpr std::size_t kQ6SubBlock = 16;

/// Halves to even, by a number so large that nothing is left behind its point. Requires |x| < 2^22.
float round_to_even(float x) {
  constexpr float kNoFraction = 0x1.8p23f;
  return (x + kNoFraction) - kNoFraction;
}

int clamped_code(float scaled) {
  return static_cast<int>(std::clamp(round_to_even(scaled), -1.0f * kQ6Max, kQ6Max - 1.0f));
}

/// Codes under one candidate, and the sums that tell how good it is.
struct Q6Fit {
  int codes[kQ6SubBlock];
  float sum_xq = 0;  // of x^2 * x * code
  float sum_qq = 0;  // of x^2 * code^2

  Q6Fit(const float* values, float inverse_scale) {
    for (std::size_t i = 0; i < kQ6SubBlock; ++i) {
      const float x = values[i];
      codes[i] = clamped_code(inverse_scale * x);
      const auto q = static_cast<float>(codes[i]);
      const float weight = x * x;
      sum_xq += weight * x * q;
      sum_qq += weight * q * q;
    }
  }
  /// The scale that minimises the error of these codes.
  [[nodiscard]] float scale() const { return sum_qq > 0 ? sum_xq / sum_qq : 0.0f; }
};

/// The scale of a sub-block, in any sign; writes its codes, 0 .. 63.
float fit_q6(const float* values, std::uint8_t* codes) {
  constexpr float kNothing = 1e-15f;  // sub-blocks below are zeros
  float largest = 0;
  for (std::size_t i = 0; i < kQ6SubBlock; ++i) {
    if (std::fabs(values[i]) > std::fabs(largest)) largest = values[i];
  }
  if (std::fabs(largest) < kNothing) {
    std::fill_n(codes, kQ6SubBlock, std::uint8_t{0});
    return 0.0f;
  }
  Q6Fit best(values, -static_cast<float>(kQ6Max) / largest);
  float best_gain = best.scale() * best.sum_xq;  // what the error is below that of zeros
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    const Q6Fit fit(values, -(static_cast<float>(kQ6Max) + 0.1f * static_cast<float>(step)) / largest);
    if (!(fit.sum_qq > 0 && fit.sum_xq * fit.sum_xq > best_gain * fit.sum_qq)) continue;
    best = fit;
    best_gain = fit.scale() * fit.sum_xq;
  }
  for (std::size_t i = 0; i < kQ6SubBlock; ++i) codes[i] = static_cast<std::uint8_t>(best.codes[i] + kQ6Max);
  return best.scale();
}

/// Puts codes 0 .. 63 where the drawing says.
void put_q6_codes(const std::uint8_t* codes, std::uint8_t* block) {
  for (std::size_t half = 0; half < 2; ++half, codes += 128) {
    for (std::size_t m = 0; m < 32; ++m) {
      const unsigned c0 = codes[m], c1 = codes[32 + m], c2 = codes[64 + m], c3 = codes[96 + m];
      block[64 * half + m] = static_cast<std::uint8_t>((c0 & 15) | (c2 & 15) << 4);
      block[64 * half + 32 + m] = static_cast<std::uint8_t>((c1 & 15) | (c3 & 15) << 4);
      block[kHighAt + 32 * half + m] = static_cast<std::uint8_t>(c0 >> 4 | c1 >> 4 << 2 | c2 >> 4 << 4 | c3 >> 4 << 6);
    }
  }
}

/// Returns false when a value is beyond the range.
bool encode_q6_block(const float* values, std::byte* block) {
  constexpr float kLargest = 65504.0f * 128 * kQ6Max;  // the sums of the search are finite below
  if (std::any_of(values, values + kElements, [](float x) { return std::fabs(x) > kLargest; })) return false;
  constexpr std::size_t n_sub_blocks = kElements / kQ6SubBlock;
  std::uint8_t codes[kElements];
  float scales[n_sub_blocks];
  float largest = 0;
  for (std::size_t s = 0; s < n_sub_blocks; ++s) {
    scales[s] = fit_q6(values + s * kQ6SubBlock, codes + s * kQ6SubBlock);
    if (std::fabs(scales[s]) > std::fabs(largest)) largest = scales[s];
  }
  std::fill_n(block, kQ6KBytes, std::byte{0});
  if (std::fabs(largest) < 1e-15f) return true;
  const float inverse = -128.0f / largest;  // the largest scale becomes -128
  const std::uint16_t d = f32_to_f16(1.0f / inverse);
  if (!std::isfinite(f16_to_f32(d))) return false;
  format::store(block + kQ6DAt, d);
  for (std::size_t s = 0; s < n_sub_blocks; ++s) {
    const int scale = std::min(127, static_cast<int>(round_to_even(inverse * scales[s])));
    format::store(block + kQ6ScalesAt + s, static_cast<std::int8_t>(scale));
    const float step = f16_to_f32(d) * static_cast<float>(scale);
    for (std::size_t e = s * kQ6SubBlock; step != 0 && e < (s + 1) * kQ6SubBlock; ++e) {
      codes[e] = static_cast<std::uint8_t>(clamped_code(values[e] / step) + kQ6Max);
    }
  }
  put_q6_codes(codes, reinterpret_cast<std::uint8_t*>(block));
  return true;
}

bool encode_q6_k(const float* values, std::size_t cols, std::byte* row) {
  bool fits = true;
  for (std::size_t begin = 0; begin < cols; begin += kElements, row += kQ6KBytes) {
    fits = encode_q6_block(values + begin, row) && fits;
  }
  return fits;
}

}  // namespace

constexpr TensorCodec kQ4K{
    .name = "Q4_K", .gguf_type = 12, .block_elements = kElements, .block_bytes = kQ4KBytes, .decode_row = decode_q4_k};
constexpr TensorCodec kQ5K{
    .name = "Q5_K", .gguf_type = 13, .block_elements = kElements, .block_bytes = kQ5KBytes, .decode_row = decode_q5_k};
constexpr TensorCodec kQ6K{.name = "Q6_K",
                           .gguf_type = 14,
                           .block_elements = kElements,
                           .block_bytes = kQ6KBytes,
                           .decode_row = decode_q6_k,
                           .encode_row = encode_q6_k};

}  // namespace tern::weights
