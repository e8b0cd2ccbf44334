// TQ1_0 and PTQ1_0: base 3, up to five weights a byte, one f16 scale for every 256 or 128. A block:
//
//   TQ1_0  PTQ1_0
//   0      0    W wide bytes of five digits each:   digit n (0 .. 4) of byte m is element n * W + m
//   32     16   M middle bytes of five digits each: digit n (0 .. 4) of byte m is element 5 * W + n * M + m
//   48     24   L last bytes of four digits each:   digit n (0 .. 3) of byte m is element 5 * (W + M) + n * L + m
//   52     26   f16 scale; value = (digit - 1) * scale
//
//   W, M, L are 32, 16, 4 in TQ1_0 and 16, 8, 2 in PTQ1_0.
//
// A byte is a fraction of 256 whose base-3 digits are the weights: digit 0 is the whole part of 3 * byte / 256, and
// multiplying by 3 modulo 256 moves to the next one. So every byte decodes to digits 0, 1, 2.

#include "src/weights/block_scales.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

template <std::size_t kBlockElements>
struct Block {
  static constexpr std::size_t kElements = kBlockElements;
  static constexpr std::size_t kWideBytes = kElements / 8;
  static constexpr std::size_t kMiddleBytes = kElements / 16;
  static constexpr std::size_t kLastBytes = kElements / 64;
  static constexpr std::size_t kScaleAt = kWideBytes + kMiddleBytes + kLastBytes;
  static constexpr std::size_t kBytes = kScaleAt + sizeof(std::uint16_t);
  static_assert(5 * kWideBytes + 5 * kMiddleBytes + 4 * kLastBytes == kElements);
};
static_assert(Block<256>::kBytes == 54 && Block<128>::kBytes == 28);

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

template <typename B>
bool unpack_row(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) {
  const std::size_t n_blocks = cols / B::kElements;
  const auto* block = reinterpret_cast<const std::uint8_t*>(tensor) + row * n_blocks * B::kBytes;
  for (std::size_t b = 0; b < n_blocks; ++b, block += B::kBytes) {
    codes = spread_digits<B::kWideBytes, 5>(block, codes);
    codes = spread_digits<B::kMiddleBytes, 5>(block + B::kWideBytes, codes);
    codes = spread_digits<B::kLastBytes, 4>(block + B::kWideBytes + B::kMiddleBytes, codes);
  }
  return true;
}

/// Packs digits that lie n_bytes apart. A byte holds five; where only four are used the last one is 0.
template <std::size_t n_bytes, int n_digits>
const std::uint8_t* gather_digits(const std::uint8_t* codes, std::uint8_t* bytes) {
  constexpr unsigned kValues = 3 * 3 * 3 * 3 * 3;
  for (std::size_t m = 0; m < n_bytes; ++m) {
    unsigned value = 0;
    for (std::size_t digit = 0; digit < 5; ++digit)
      value = 3 * value + (digit < n_digits ? codes[digit * n_bytes + m] : 0u);
    bytes[m] = static_cast<std::uint8_t>((256 * value + kValues - 1) / kValues);  // the least byte with these digits
  }
  return codes + n_digits * n_bytes;
}

template <typename B>
void pack_row(const std::uint8_t* codes, const float* scales, std::size_t cols, std::byte* row) {
  auto* block = reinterpret_cast<std::uint8_t*>(row);
  for (std::size_t b = 0; b < cols / B::kElements; ++b, block += B::kBytes) {
    codes = gather_digits<B::kWideBytes, 5>(codes, block);
    codes = gather_digits<B::kMiddleBytes, 5>(codes, block + B::kWideBytes);
    codes = gather_digits<B::kLastBytes, 4>(codes, block + B::kWideBytes + B::kMiddleBytes);
    format::store(row + b * B::kBytes + B::kScaleAt, f32_to_f16(scales[b]));
  }
}

template <typename B>
constexpr TensorCodec make_codec(std::string_view name, std::uint32_t gguf_type) {
  return {.name = name,
          .gguf_type = gguf_type,
          .block_elements = B::kElements,
          .block_bytes = B::kBytes,
          .unpack_row = unpack_row<B>,
          .scale_elements = B::kElements,
          .read_scales = read_block_scales<B::kElements, B::kBytes, B::kScaleAt>,
          .pack_row = pack_row<B>};
}

}  // namespace

constexpr TensorCodec kTq1_0 = make_codec<Block<256>>("TQ1_0", 34);
constexpr TensorCodec kPtq1_0 = make_codec<Block<128>>("PTQ1_0", 143);

}  // namespace tern::weights
