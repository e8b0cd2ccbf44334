// Q4_0: four bits a weight, one f16 scale for every 32. A block:
//
//   0   f16 scale
//   2   16 bytes: byte j holds element j in bits 3..0 and element j + 16 in bits 7..4;  value = (q - 8) * scale

#include <algorithm>
#include <cmath>

#include "src/base/half.h"
#include "src/format/byte_reader.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

constexpr std::size_t kElements = 32;
constexpr std::size_t kBlockBytes = sizeof(std::uint16_t) + kElements / 2;
static_assert(kBlockBytes == 18);

void decode_row(const std::byte* row, std::size_t cols, float* values) {
  for (std::size_t begin = 0; begin < cols; begin += kElements, row += kBlockBytes) {
    const float scale = f16_to_f32(format::load<std::uint16_t>(row));
    for (std::size_t j = 0; j < kElements / 2; ++j) {
      const int byte = std::to_integer<int>(row[2 + j]);
      values[begin + j] = static_cast<float>((byte & 15) - 8) * scale;
      values[begin + j + kElements / 2] = static_cast<float>((byte >> 4) - 8) * scale;
    }
  }
}

/// The value of largest magnitude becomes code 0, which is -8, so that the scale has the opposite sign; the others are
/// rounded to the nearest code, halves up. Source: as ggml's reference quantizer rounds
bool encode_row(const float* values, std::size_t cols, std::byte* row) {
  bool fits = true;
  for (std::size_t begin = 0; begin < cols; begin += kElements, row += kBlockBytes) {
    float largest = 0;
    for (std::size_t j = 0; j < kElements; ++j) {
      if (std::fabs(values[begin + j]) > std::fabs(largest)) largest = values[begin + j];
    }
    const float scale = largest / -8.0f;
    const float inverse = std::isnormal(scale) ? 1.0f / scale : 0.0f;
    const std::uint16_t stored = f32_to_f16(scale);
    fits = fits && std::isfinite(f16_to_f32(stored));
    format::store(row, stored);
    const auto code = [&](std::size_t j) {
      return std::min(15u, static_cast<unsigned>(values[begin + j] * inverse + 8.5f));  // it is 0.5 at least
    };
    for (std::size_t j = 0; fits && j < kElements / 2; ++j) {
      row[2 + j] = static_cast<std::byte>(code(j) | code(j + kElements / 2) << 4);
    }
  }
  return fits;
}

}  // namespace

constexpr TensorCodec kQ4_0{.name = "Q4_0",
                            .gguf_type = 2,
                            .block_elements = kElements,
                            .block_bytes = kBlockBytes,
                            .decode_row = decode_row,
                            .encode_row = encode_row};

}  // namespace tern::weights
