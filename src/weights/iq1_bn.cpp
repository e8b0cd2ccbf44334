// IQ1_BN: base 3, 13 bytes for 64 weights, one f16 scale for each row. A row:
//
//   0   f16 scale; value = (digit - 1) * scale
//   2   a block of 13 bytes for every 64 elements
//
// A block is four groups g of 16 elements, three bytes each, and a byte for the last element of every group:
//
//   byte 3g + k (k = 0 .. 2): digit n (0 .. 4) is element 16g + 5k + n
//   byte 12:                  digit g (0 .. 3) is element 16g + 15
//
// A byte is a fraction of 256 as in tq1_0.cpp, but with the digits the other way round: digit 0 is the last of the
// five, so it is multiplied by 81 to become the whole part of 3 * byte / 256, digit 1 by 27, ... digit 4 by 1.

#include "src/base/half.h"
#include "src/format/byte_reader.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

constexpr std::size_t kElements = 64;
constexpr std::size_t kGroups = 4;
constexpr std::size_t kGroupElements = kElements / kGroups;
constexpr std::size_t kGroupBytes = 3;
constexpr std::size_t kDigits = 5;
constexpr std::size_t kLastAt = kGroups * kGroupBytes;
constexpr std::size_t kBlockBytes = kLastAt + 1;
constexpr std::size_t kRowHeader = sizeof(std::uint16_t);  // bytes
static_assert(kBlockBytes == 13 && kGroupBytes * kDigits + 1 == kGroupElements);

constexpr std::uint8_t kShift[kDigits] = {81, 27, 9, 3, 1};

constexpr std::uint8_t digit(std::uint8_t byte, std::size_t n) {
  return static_cast<std::uint8_t>(3 * static_cast<std::uint8_t>(byte * kShift[n]) >> 8);
}

const std::byte* find_row(const std::byte* tensor, std::size_t row, std::size_t cols) {
  return tensor + row * (kRowHeader + cols / kElements * kBlockBytes);
}

bool unpack_row(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) {
  const auto* block = reinterpret_cast<const std::uint8_t*>(find_row(tensor, row, cols) + kRowHeader);
  for (std::size_t c = 0; c < cols; c += kElements, block += kBlockBytes) {
    for (std::size_t g = 0; g < kGroups; ++g, codes += kGroupElements) {
      for (std::size_t i = 0; i + 1 < kGroupElements; ++i) {
        codes[i] = digit(block[g * kGroupBytes + i / kDigits], i % kDigits);
      }
      codes[kGroupElements - 1] = digit(block[kLastAt], g);
    }
  }
  return true;
}

void read_scale(const std::byte* tensor, std::size_t /*n_elements*/, std::size_t row, std::size_t cols, float* scale) {
  *scale = f16_to_f32(format::load<std::uint16_t>(find_row(tensor, row, cols)));
}

}  // namespace

constexpr TensorCodec kIq1Bn{.name = "IQ1_BN",
                             .gguf_type = 134,
                             .block_elements = kElements,
                             .block_bytes = kBlockBytes,
                             .row_header_bytes = kRowHeader,
                             .unpack_row = unpack_row,
                             .scale_elements = kScalePerRow,
                             .read_scales = read_scale};

}  // namespace tern::weights
