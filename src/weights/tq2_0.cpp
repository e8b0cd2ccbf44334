// TQ2_0: two bits a weight, one f16 scale for every 256. A block:
//
//   0   64 bytes of codes: byte 32h + m (h = 0, 1; m = 0 .. 31) holds
//         bits  7 6             5 4            3 2            1 0
//               elem 128h+96+m  elem 128h+64+m elem 128h+32+m elem 128h+m
//   64  f16 scale; value = (code - 1) * scale

#include "src/weights/block_scales.h"
#include "src/weights/codecs.h"
#include "src/weights/two_bit.h"

namespace tern::weights {
namespace {

constexpr std::size_t kElements = 256;
constexpr std::size_t kCodeBytes = kElements / 4;
constexpr std::size_t kBlockBytes = kCodeBytes + sizeof(std::uint16_t);
static_assert(kBlockBytes == 66);

bool unpack_row(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) {
  const std::size_t n_blocks = cols / kElements;
  const auto* block = reinterpret_cast<const std::uint8_t*>(tensor) + row * n_blocks * kBlockBytes;
  std::uint8_t threes = 0;
  for (std::size_t b = 0; b < n_blocks; ++b, block += kBlockBytes, codes += kElements) {
    threes |= spread_codes<BitOrder::kLowFirst, 32>(block, codes);
    threes |= spread_codes<BitOrder::kLowFirst, 32>(block + 32, codes + 128);
  }
  return threes == 0;
}

void pack_row(const std::uint8_t* codes, const float* scales, std::size_t cols, std::byte* row) {
  auto* block = reinterpret_cast<std::uint8_t*>(row);
  for (std::size_t b = 0; b < cols / kElements; ++b, block += kBlockBytes, codes += kElements) {
    gather_codes<BitOrder::kLowFirst, 32>(codes, block);
    gather_codes<BitOrder::kLowFirst, 32>(codes + 128, block + 32);
    format::store(row + b * kBlockBytes + kCodeBytes, f32_to_f16(scales[b]));
  }
}

}  // namespace

constexpr TensorCodec kTq2_0{.name = "TQ2_0",
                             .gguf_type = 35,
                             .block_elements = kElements,
                             .block_bytes = kBlockBytes,
                             .unpack_row = unpack_row,
                             .scale_elements = kElements,
                             .read_scales = read_block_scales<kElements, kBlockBytes, kCodeBytes>,
                             .pack_row = pack_row};

}  // namespace tern::weights
