#include "kernels/layout_rows64.h"

#include <bit>
#include <cstring>

namespace tern::kernels {
namespace {

static_assert(std::endian::native == std::endian::little, "pack_eight takes the first column for the lowest byte");

constexpr std::uint8_t kFourZeros = 0x55;  // code 1 in each of the four fields

/// Squeezes eight codes, one per byte, into two bytes of four fields each: the groups at bits 7-0 and 39-32.
std::uint64_t pack_eight(const std::uint8_t* codes) {
  std::uint64_t v = 0;
  std::memcpy(&v, codes, sizeof v);
  v |= v >> 6U;   // bytes 0, 2, 4, 6: two codes in four bits
  v |= v >> 12U;  // bytes 0, 4: four codes in eight bits
  return v;
}

/// The last, incomplete group of a row.
std::uint8_t pack_tail(const std::uint8_t* codes, std::size_t n) {
  unsigned byte = kFourZeros;
  for (std::size_t i = 0; i < n; ++i) {
    const auto shift = static_cast<unsigned>(2 * i);
    byte = (byte & ~(3U << shift)) | (static_cast<unsigned>(codes[i]) << shift);
  }
  return static_cast<std::uint8_t>(byte);
}

/// Packs columns [begin, end) of one row; end is a multiple of 8 or the last column.
void pack_row(const std::uint8_t* codes, std::size_t begin, std::size_t end, std::uint8_t* column_of_block) {
  std::uint8_t* out = column_of_block + begin / rows64::kGroupCols * rows64::kRows;
  std::size_t c = begin;
  for (; c + 8 <= end; c += 8, out += 2 * rows64::kRows) {
    const std::uint64_t v = pack_eight(codes + c);
    out[0] = static_cast<std::uint8_t>(v);
    out[rows64::kRows] = static_cast<std::uint8_t>(v >> 32U);
  }
  for (; c < end; c += rows64::kGroupCols, out += rows64::kRows) {
    const std::size_t left = end - c;
    *out = pack_tail(codes + c, left < rows64::kGroupCols ? left : rows64::kGroupCols);
  }
}

void pack(const std::uint8_t* codes, std::size_t stride, std::size_t n_rows, std::size_t cols, std::uint8_t* block) {
  // Neighbouring rows write neighbouring bytes: in tiles of 512 columns those bytes stay in 8 KB of the first cache.
  constexpr std::size_t kTileCols = 512;
  const std::size_t n_groups = rows64::n_groups(cols);
  const std::size_t n_used = (cols + rows64::kGroupCols - 1) / rows64::kGroupCols;
  if (n_rows < rows64::kRows) {
    std::memset(block, kFourZeros, n_used * rows64::kRows);
  }
  for (std::size_t begin = 0; begin < cols; begin += kTileCols) {
    const std::size_t end = begin + kTileCols < cols ? begin + kTileCols : cols;
    for (std::size_t r = 0; r < n_rows; ++r) {
      pack_row(codes + r * stride, begin, end, block + r);
    }
  }
  std::memset(block + n_used * rows64::kRows, kFourZeros, (n_groups - n_used) * rows64::kRows);
}

std::size_t block_bytes(std::size_t cols) { return rows64::block_bytes(cols); }

}  // namespace

const TernaryLayout kRows64 = {
    .name = "rows64", .bits_per_weight = 2.0, .row_block = rows64::kRows, .block_bytes = block_bytes, .pack = pack};

}  // namespace tern::kernels
