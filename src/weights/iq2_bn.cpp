// IQ2_BN and IQ2_BN_R4: two bits a weight, one f32 scale for each row. A row of IQ2_BN:
//
//   0   f32 scale; value = (code - 1) * scale
//   4   16 bytes for every 64 elements: byte m of a block holds
//         bits  7 6       5 4       3 2       1 0
//               elem 48+m elem 32+m elem 16+m elem m
//
// IQ2_BN_R4 interleaves four rows r = 0 .. 3:
//
//   0   four f32 scales
//   16  64 bytes for every 64 elements: byte 16l + 4r + i (l, i = 0 .. 3) of a block holds, of row r,
//         bits  7 6           5 4          3 2          1 0
//               elem 16l+12+i elem 16l+8+i elem 16l+4+i elem 16l+i

#include "src/format/byte_reader.h"
#include "src/weights/codecs.h"
#include "src/weights/two_bit.h"

namespace tern::weights {
namespace {

constexpr std::size_t kElements = 64;
constexpr std::size_t kBlockBytes = kElements / 4;          // of one row
constexpr std::size_t kRowHeader = sizeof(float);           // bytes
constexpr std::size_t kRowsTogether = 4;                    // of IQ2_BN_R4
constexpr std::size_t kPart = kBlockBytes / kRowsTogether;  // bytes of a row that lie together there

constexpr std::size_t row_bytes(std::size_t cols) { return kRowHeader + cols / kElements * kBlockBytes; }

bool unpack_row(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) {
  const auto* block = reinterpret_cast<const std::uint8_t*>(tensor) + row * row_bytes(cols) + kRowHeader;
  std::uint8_t threes = 0;
  for (std::size_t c = 0; c < cols; c += kElements, block += kBlockBytes) {
    threes |= spread_codes<BitOrder::kLowFirst, kBlockBytes>(block, codes + c);
  }
  return threes == 0;
}

void read_scale(const std::byte* tensor, std::size_t /*n_elements*/, std::size_t row, std::size_t cols, float* scale) {
  *scale = format::load<float>(tensor + row * row_bytes(cols));
}

/// The four rows that row `row` lies among.
const std::byte* find_four(const std::byte* tensor, std::size_t row, std::size_t cols) {
  return tensor + row / kRowsTogether * kRowsTogether * row_bytes(cols);
}

bool unpack_interleaved_row(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) {
  const auto* four = reinterpret_cast<const std::uint8_t*>(find_four(tensor, row, cols));
  const std::uint8_t* part = four + kRowsTogether * kRowHeader + row % kRowsTogether * kPart;
  std::uint8_t threes = 0;
  for (std::size_t c = 0; c < cols; c += 4 * kPart, part += kRowsTogether * kPart) {
    threes |= spread_codes<BitOrder::kLowFirst, kPart>(part, codes + c);
  }
  return threes == 0;
}

void read_interleaved_scale(const std::byte* tensor, std::size_t /*n_elements*/, std::size_t row, std::size_t cols,
                            float* scale) {
  *scale = format::load<float>(find_four(tensor, row, cols) + row % kRowsTogether * kRowHeader);
}

}  // namespace

constexpr TensorCodec kIq2Bn{.name = "IQ2_BN",
                             .gguf_type = 135,
                             .block_elements = kElements,
                             .block_bytes = kBlockBytes,
                             .row_header_bytes = kRowHeader,
                             .unpack_row = unpack_row,
                             .scale_elements = kScalePerRow,
                             .read_scales = read_scale};
constexpr TensorCodec kIq2BnR4{.name = "IQ2_BN_R4",
                               .gguf_type = 335,
                               .block_elements = kElements,
                               .block_bytes = kBlockBytes,
                               .row_header_bytes = kRowHeader,
                               .rows_together = kRowsTogether,
                               .unpack_row = unpack_interleaved_row,
                               .scale_elements = kScalePerRow,
                               .read_scales = read_interleaved_scale};

}  // namespace tern::weights
