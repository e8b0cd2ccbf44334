// Q2_0 and PQ2_0: two bits a weight, one f16 scale for every 64 or 128. A block of n elements:
//
//   0   f16 scale; value = (code - 1) * scale
//   2   n / 4 bytes of codes: byte m holds
//         bits  7 6        5 4        3 2        1 0
//               elem 4m+3  elem 4m+2  elem 4m+1  elem 4m
//
// The first files with blocks of 128 gave them Q2_0's number, see tensor_size() in codec_table.cpp.

#include "src/weights/block_scales.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

constexpr std::size_t kCodesAt = sizeof(std::uint16_t);

template <std::size_t kElements>
constexpr std::size_t kBlockBytes = kCodesAt + kElements / 4;
static_assert(kBlockBytes<64> == 18 && kBlockBytes<128> == 34);

template <std::size_t kElements>
bool unpack_row(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) {
  const std::size_t n_blocks = cols / kElements;
  const auto* block = reinterpret_cast<const std::uint8_t*>(tensor) + row * n_blocks * kBlockBytes<kElements>;
  std::uint8_t threes = 0;
  for (std::size_t b = 0; b < n_blocks; ++b, block += kBlockBytes<kElements>) {
    for (std::size_t m = 0; m < kElements / 4; ++m, codes += 4) {
      const std::uint8_t byte = block[kCodesAt + m];
      threes |= static_cast<std::uint8_t>(byte & byte >> 1 & 0x55);  // a code is 3 when both its bits are set
      for (unsigned i = 0; i < 4; ++i) codes[i] = byte >> 2 * i & 3;
    }
  }
  return threes == 0;
}

template <std::size_t kElements>
void pack_row(const std::uint8_t* codes, const float* scales, std::size_t cols, std::byte* row) {
  for (std::size_t b = 0; b < cols / kElements; ++b, row += kBlockBytes<kElements>) {
    format::store(row, f32_to_f16(scales[b]));
    for (std::size_t m = 0; m < kElements / 4; ++m, codes += 4) {
      row[kCodesAt + m] = static_cast<std::byte>(codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6);
    }
  }
}

template <std::size_t kElements>
constexpr TensorCodec make_codec(std::string_view name, std::uint32_t gguf_type) {
  return {.name = name,
          .gguf_type = gguf_type,
          .block_elements = kElements,
          .block_bytes = kBlockBytes<kElements>,
          .unpack_row = unpack_row<kElements>,
          .scale_elements = kElements,
          .read_scales = read_block_scales<kElements, kBlockBytes<kElements>, 0>,
          .pack_row = pack_row<kElements>};
}

}  // namespace

constexpr TensorCodec kQ2_0 = make_codec<64>("Q2_0", 42);
constexpr TensorCodec kPq2_0 = make_codec<128>("PQ2_0", 142);

}  // namespace tern::weights
