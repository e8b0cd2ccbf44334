// Q8_0: eight bits a weight, one f16 scale for every 32. A block:
//
//   0   f16 scale
//   2   32 signed bytes;  value = q * scale

#include <algorithm>
#include <cmath>

#include "src/base/half.h"
#include "src/format/byte_reader.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

constexpr std::size_t kElements = 32;
constexpr std::size_t kBlockBytes = sizeof(std::uint16_t) + kElements;
static_assert(kBlockBytes == 34);

void decode_row(const std::byte* row, std::size_t cols, float* values) {
  for (std::size_t begin = 0; begin < cols; begin += kElements, row += kBlockBytes) {
    const float scale = f16_to_f32(format::load<std::uint16_t>(row));
    for (std::size_t j = 0; j < kElements; ++j) {
      values[begin + j] = static_cast<float>(format::load<std::int8_t>(row + 2 + j)) * scale;
    }
  }
}

/// The largest magnitude becomes 127; halves are rounded away from zero. Source: as ggml's reference quantizer rounds
bool encode_row(const float* values, std::size_t cols, std::byte* row) {
  bool fits = true;
  for (std::size_t begin = 0; begin < cols; begin += kElements, row += kBlockBytes) {
    float largest = 0;
    for (std::size_t j = 0; j < kElements; ++j) largest = std::max(largest, std::fabs(values[begin + j]));
    const float scale = largest / 127.0f;
    const float inverse = std::isnormal(scale) ? 1.0f / scale : 0.0f;
    const std::uint16_t stored = f32_to_f16(scale);
    fits = fits && std::isfinite(f16_to_f32(stored));
    format::store(row, stored);
    for (std::size_t j = 0; fits && j < kElements; ++j) {
      format::store(row + 2 + j, static_cast<std::int8_t>(std::round(values[begin + j] * inverse)));
    }
  }
  return fits;
}

}  // namespace

constexpr TensorCodec kQ8_0{.name = "Q8_0",
                            .gguf_type = 8,
                            .block_elements = kElements,
                            .block_bytes = kBlockBytes,
                            .decode_row = decode_row,
                            .encode_row = encode_row};

}  // namespace tern::weights
