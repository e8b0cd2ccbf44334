// Q8_0: eight bits a weight, one f16 scale for every 32. A block:
//
//   0   f16 scale
//   2   32 signed bytes;  value = q * scale

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

}  // namespace

constexpr TensorCodec kQ8_0{
    .name = "Q8_0", .gguf_type = 8, .block_elements = kElements, .block_bytes = kBlockBytes, .decode_row = decode_row};

}  // namespace tern::weights
