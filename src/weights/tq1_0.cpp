// TQ1_0: base 3, up to five weights a byte, one f16 scale for every 256. A block:
//
//   0   48 bytes of five digits each
//         byte m      = 0 .. 31: digit n (0 .. 4) is element n * 32 + m
//         byte 32 + m = .. 15:   digit n (0 .. 4) is element 160 + n * 16 + m
//   48  4 bytes of four digits each: digit n (0 .. 3) of byte j is element 240 + n * 4 + j
//   52  f16 scale; value = (digit - 1) * scale
//
// A byte is a fraction of 256 whose base-3 digits are the weights: digit 0 is the whole part of 3 * byte / 256, and
// multiplying by 3 modulo 256 moves to the next one. So every byte decodes to digits 0, 1, 2.

#include "src/weights/block_scales.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

constexpr std::size_t kElements = 256;
constexpr std::size_t kWideBytes = 32;    // of five digits
constexpr std::size_t kMiddleBytes = 16;  // of five digits
constexpr std::size_t kLastBytes = 4;     // of four digits
constexpr std::size_t kScaleAt = kWideBytes + kMiddleBytes + kLastBytes;
constexpr std::size_t kBlockBytes = kScaleAt + sizeof(std::uint16_t);
static_assert(kBlockBytes == 54);
static_assert(5 * kWideBytes + 5 * kMiddleBytes + 4 * kLastBytes == kElements);

/// The first digit of n_bytes bytes, then the second of all, and so on.
template <std::size_t n_bytes, int n_digits>
std::uint8_t* spread_digits(const std::uint8_t* bytes, std::uint8_t* codes) {
  std::uint8_t rest[n_bytes];
  for (std::size_t m = 0; m < n_bytes; ++m) rest[m] = bytes[m];
  for (int digit = 0; digit < n_digits; ++digit, codes += n_bytes) {
    for (std::size_t m = 0; m < n_bytes; ++m) {
      // 3 * rest / 256 by comparisons, which vectorise in bytes: 256 / 3 = 85.3, 512 / 3 = 170.7.
      codes[m] = static_cast<std::uint8_t>((rest[m] > 85 ? 1 : 0) + (rest[m] > 170 ? 1 : 0));
      rest[m] = static_cast<std::uint8_t>(3 * rest[m]);
    }
  }
  return codes;
}

bool unpack_row(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) {
  const std::size_t n_blocks = cols / kElements;
  const auto* block = reinterpret_cast<const std::uint8_t*>(tensor) + row * n_blocks * kBlockBytes;
  for (std::size_t b = 0; b < n_blocks; ++b, block += kBlockBytes) {
    codes = spread_digits<kWideBytes, 5>(block, codes);
    codes = spread_digits<kMiddleBytes, 5>(block + kWideBytes, codes);
    codes = spread_digits<kLastBytes, 4>(block + kWideBytes + kMiddleBytes, codes);
  }
  return true;
}

}  // namespace

constexpr TensorCodec kTq1_0{.name = "TQ1_0",
                             .gguf_type = 34,
                             .block_elements = kElements,
                             .block_bytes = kBlockBytes,
                             .unpack_row = unpack_row,
                             .scale_elements = kElements,
                             .read_scales = read_block_scales<kElements, kBlockBytes, kScaleAt>};

}  // namespace tern::weights
