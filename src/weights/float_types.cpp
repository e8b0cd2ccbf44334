// F32, F16, BF16: one value after the other, little-endian.

#include <cstring>

#include "src/base/half.h"
#include "src/format/byte_reader.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

void decode_f32(const std::byte* row, std::size_t cols, float* values) {
  for (std::size_t c = 0; c < cols; ++c) values[c] = format::load<float>(row + c * sizeof(float));
}

void decode_f16(const std::byte* row, std::size_t cols, float* values) {
  for (std::size_t c = 0; c < cols; ++c) values[c] = f16_to_f32(format::load<std::uint16_t>(row + 2 * c));
}

void decode_bf16(const std::byte* row, std::size_t cols, float* values) {
  for (std::size_t c = 0; c < cols; ++c) values[c] = bf16_to_f32(format::load<std::uint16_t>(row + 2 * c));
}

bool encode_f32(const float* values, std::size_t cols, std::byte* row) {
  std::memcpy(row, values, cols * sizeof(float));
  return true;
}

constexpr std::uint16_t kF16Infinity = 0x7c00;
constexpr std::uint16_t kBf16Infinity = 0x7f80;

template <std::uint16_t (*kNarrow)(float), std::uint16_t kInfinity>
bool encode_16_bits(const float* values, std::size_t cols, std::byte* row) {
  bool fits = true;
  for (std::size_t c = 0; c < cols; ++c) {
    const std::uint16_t narrow = kNarrow(values[c]);
    fits = fits && (narrow & 0x7fffU) < kInfinity;
    format::store(row + 2 * c, narrow);
  }
  return fits;
}

}  // namespace

constexpr TensorCodec kF32{.name = "F32",
                           .gguf_type = 0,
                           .block_elements = 1,
                           .block_bytes = 4,
                           .decode_row = decode_f32,
                           .encode_row = encode_f32};
constexpr TensorCodec kF16{.name = "F16",
                           .gguf_type = 1,
                           .block_elements = 1,
                           .block_bytes = 2,
                           .decode_row = decode_f16,
                           .encode_row = encode_16_bits<f32_to_f16, kF16Infinity>};
constexpr TensorCodec kBf16{.name = "BF16",
                            .gguf_type = 30,
                            .block_elements = 1,
                            .block_bytes = 2,
                            .decode_row = decode_bf16,
                            .encode_row = encode_16_bits<f32_to_bf16, kBf16Infinity>};

}  // namespace tern::weights
