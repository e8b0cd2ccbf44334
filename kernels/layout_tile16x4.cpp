#include "kernels/layout_tile16x4.h"

#include <cstring>

namespace tern::kernels {
namespace {

constexpr std::uint8_t kZeroCode = 1;
constexpr std::uint8_t kFourZeros = 0x55;  // code 1 in each of the four fields

/// Packs the 16 codes that a row has in one step into its four bytes.
void pack_sixteen(const std::uint8_t* codes, std::uint8_t* out) {
  std::uint32_t planes[tile16x4::kPlanes];
  std::memcpy(planes, codes, sizeof planes);
  const std::uint32_t bytes = planes[0] | planes[1] << 2U | planes[2] << 4U | planes[3] << 6U;
  std::memcpy(out, &bytes, sizeof bytes);
}

void pack_row(const std::uint8_t* codes, std::size_t cols, std::uint8_t* out) {
  std::size_t c = 0;
  for (; c + tile16x4::kStepCols <= cols; c += tile16x4::kStepCols, out += tile16x4::kStepBytes) {
    pack_sixteen(codes + c, out);
  }
  if (c < cols) {
    std::uint8_t last[tile16x4::kStepCols];
    std::memset(last, kZeroCode, sizeof last);
    std::memcpy(last, codes + c, cols - c);
    pack_sixteen(last, out);
  }
}

void pack(const std::uint8_t* codes, std::size_t stride, std::size_t n_rows, std::size_t cols, std::uint8_t* block) {
  if (n_rows < tile16x4::kRows) {
    std::memset(block, kFourZeros, tile16x4::block_bytes(cols));
  }
  for (std::size_t r = 0; r < n_rows; ++r) {
    pack_row(codes + r * stride, cols, block + r * tile16x4::kPlaneCols);  // kPlaneCols bytes per row and step
  }
}

std::size_t block_bytes(std::size_t cols) { return tile16x4::block_bytes(cols); }

}  // namespace

const TernaryLayout kTile16x4 = {
    .name = "tile16x4", .bits_per_weight = 2.0, .row_block = tile16x4::kRows, .block_bytes = block_bytes, .pack = pack};

}  // namespace tern::kernels
