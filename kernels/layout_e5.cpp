#include "kernels/layout_e5.h"

#include <bit>
#include <cstring>

namespace tern::kernels {
namespace {

static_assert(std::endian::native == std::endian::little, "the first of eight numbers is in the lowest byte");

constexpr std::uint8_t kZeroCode = 1;

/// Byte of the five codes c1 + 3 c2 + 9 c3 + 27 c4 + 81 c5, a number below 243.
struct Bytes {
  std::uint8_t of[256];
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

/// Eight numbers, one per byte; none exceeds 242. codes: five runs of `n`, the digits of all groups
inline std::uint64_t number_eight(const std::uint8_t* codes, std::size_t n) {
  std::uint64_t numbers = 0;
  for (std::size_t d = e5::kGroupCols; d-- > 0;) {
    std::uint64_t digits = 0;
    std::memcpy(&digits, codes + d * n, sizeof digits);
    numbers = 3 * numbers + digits;
  }
  return numbers;
}

/// Packs one row of a span of `n` groups: eight of them at a time, then perhaps four. codes: (5, n), and eight more
inline void pack_span(const std::uint8_t* codes, std::size_t n, std::uint8_t* byte_of_block) {
  for (std::size_t g = 0; g < n; g += 8) {
    std::uint64_t numbers = number_eight(codes + g, n);
    const std::size_t n_numbers = n - g < 8 ? n - g : 8;
    for (std::size_t i = 0; i < n_numbers; ++i, numbers >>= 8U) {
      byte_of_block[(g + i) * e5::kRows] = kBytes.of[numbers & 255U];
    }
  }
}

/// One row of the last span, which may end before its groups do.
void pack_last_span(const std::uint8_t* codes, std::size_t cols, std::uint8_t* byte_of_block) {
  std::uint8_t padded[e5::kSpanCols + sizeof(std::uint64_t)];
  std::memset(padded, kZeroCode, sizeof padded);
  std::memcpy(padded, codes, cols);
  pack_span(padded, e5::span_groups(cols), byte_of_block);
}

void pack(const std::uint8_t* codes, std::size_t stride, std::size_t n_rows, std::size_t cols, std::uint8_t* block) {
  if (n_rows < e5::kRows) std::memset(block, e5::kZeroByte, e5::block_bytes(cols));
  // Neighbouring rows write neighbouring bytes: span by span, those bytes stay in 4 KB of the first cache.
  for (std::size_t begin = 0; begin < cols; begin += e5::kSpanCols, block += e5::kSpanGroups * e5::kRows) {
    for (std::size_t r = 0; r < n_rows; ++r) {
      const std::uint8_t* row = codes + r * stride + begin;
      if (cols - begin >= e5::kSpanCols) {
        pack_span(row, e5::kSpanGroups, block + e5::row_of_byte(r));
      } else {
        pack_last_span(row, cols - begin, block + e5::row_of_byte(r));
      }
    }
  }
}

std::size_t block_bytes(std::size_t cols) { return e5::block_bytes(cols); }

}  // namespace

const TernaryLayout kE5 = {
    .name = "e5", .bits_per_weight = 1.6, .row_block = e5::kRows, .block_bytes = block_bytes, .pack = pack};

}  // namespace tern::kernels
