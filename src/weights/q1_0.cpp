// Q1_0: one bit a weight, one f16 scale for every 128; no weight is 0. A block:
//
//   0   f16 scale; value = scale where the bit is 1, -scale where it is 0
//   2   16 bytes: bit i (0 = lowest) of byte m is element 8m + i

#include "src/weights/block_scales.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

constexpr std::size_t kElements = 128;
constexpr std::size_t kCodesAt = sizeof(std::uint16_t);
constexpr std::size_t kBlockBytes = kCodesAt + kElements / 8;
static_assert(kBlockBytes == 18);

bool unpack_row(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) {
  const std::size_t n_blocks = cols / kElements;
  const auto* block = reinterpret_cast<const std::uint8_t*>(tensor) + row * n_blocks * kBlockBytes;
  for (std::size_t b = 0; b < n_blocks; ++b, block += kBlockBytes, codes += kElements) {
    for (std::size_t i = 0; i < kElements; ++i) {
      codes[i] = static_cast<std::uint8_t>((block[kCodesAt + i / 8] >> i % 8 & 1) * 2);
    }
  }
  return true;
}

}  // namespace

constexpr TensorCodec kQ1_0{.name = "Q1_0",
                            .gguf_type = 41,
                            .block_elements = kElements,
                            .block_bytes = kBlockBytes,
                            .unpack_row = unpack_row,
                            .scale_elements = kElements,
                            .has_zero = false,
                            .read_scales = read_block_scales<kElements, kBlockBytes, 0>};

}  // namespace tern::weights
