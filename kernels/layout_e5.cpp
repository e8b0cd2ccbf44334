#include "kernels/layout_e5.h"

#include <cstring>

namespace tern::kernels {
namespace {

constexpr std::uint8_t kZeroCode = 1;
constexpr std::size_t kCodes = 243;  // 3^5

/// Byte of the five codes c1 + 3 c2 + 9 c3 + 27 c4 + 81 c5.
struct Bytes {
  std::uint8_t of[kCodes];
};

constexpr Bytes make_bytes() {
  // As a sum over trits, the number is 121 + t1 + 3 t2 + 9 t3 + 27 t4 + 81 t5: the tables know it by themselves.
  constexpr e5::Tables kNumbers = e5::make_tables(1, 3, 9, 27, 81);
  Bytes bytes = {};
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (!e5::is_code(byte)) continue;
    const unsigned number = (121U + kNumbers.a[byte >> 2U] + kNumbers.b[byte & 63U]) & 255U;
    bytes.of[number] = static_cast<std::uint8_t>(byte);
  }
  return bytes;
}

constexpr Bytes kBytes = make_bytes();

/// The bytes of one row in one span of `n` groups. codes: (5, n), the five digits of every group.
inline void encode(const std::uint8_t* codes, std::size_t n, std::uint8_t* bytes) {
  for (std::size_t g = 0; g < n; ++g) {
    const unsigned high = codes[2 * n + g] + 3U * codes[3 * n + g] + 9U * codes[4 * n + g];
    bytes[g] = static_cast<std::uint8_t>(codes[g] + 3U * codes[n + g] + 9U * high);
  }
  for (std::size_t g = 0; g < n; ++g) bytes[g] = kBytes.of[bytes[g]];
}

/// One row of a span that may end before its groups do.
void encode_row(const std::uint8_t* codes, std::size_t cols, std::size_t n, std::uint8_t* bytes) {
  if (n == e5::kSpanGroups && cols >= e5::kSpanCols) {
    encode(codes, e5::kSpanGroups, bytes);
    return;
  }
  std::uint8_t padded[e5::kSpanCols];
  std::memset(padded, kZeroCode, sizeof padded);
  std::memcpy(padded, codes, cols);
  encode(padded, n, bytes);
}

void pack(const std::uint8_t* codes, std::size_t stride, std::size_t n_rows, std::size_t cols, std::uint8_t* block) {
  std::uint8_t rows[e5::kRows][e5::kSpanGroups];  // a span of the block, before it is transposed
  std::memset(rows, e5::kZeroByte, sizeof rows);
  for (std::size_t begin = 0; begin < cols; begin += e5::kSpanCols) {
    const std::size_t n = e5::span_groups(cols - begin);
    for (std::size_t r = 0; r < n_rows; ++r) {
      const std::size_t left = cols - begin;
      encode_row(codes + r * stride + begin, left < e5::kSpanCols ? left : e5::kSpanCols, n, rows[r]);
    }
    for (std::size_t g = 0; g < n; ++g, block += e5::kRows) {
      for (std::size_t i = 0; i < e5::kRows; ++i) block[i] = rows[e5::row_of_byte(i)][g];
    }
  }
}

std::size_t block_bytes(std::size_t cols) { return e5::block_bytes(cols); }

}  // namespace

const TernaryLayout kE5 = {
    .name = "e5", .bits_per_weight = 1.6, .row_block = e5::kRows, .block_bytes = block_bytes, .pack = pack};

}  // namespace tern::kernels
