#pragma once

// Layout "e5": 1.6 bits a weight, five trits in one byte. Included by kernels that read it; all names are local to the
// including file (see kernels.h).
//
// A block holds 64 rows. Columns are taken in spans of 320: group g of a span holds columns g, 64 + g, ... 256 + g, so
// that one digit of all its groups is a run of columns. The last span has as many groups as it needs, n (a multiple of
// 4), and holds columns g, n + g, ... 4n + g.
//
//     block         | group 0: 64 B | group 1: 64 B | ...                       one byte per row and group
//     byte i        row (i & 3) | (i >> 2 & 3) << 4 | (i >> 4) << 2:  interleaving the bytes, then the pairs, of four
//                   groups in 128-bit lanes gives rows 0-15, 16-31, 32-47, 48-63 with four bytes each
//
// The byte of five trits is chosen so that every sum over them, f = t1 x1 + ... + t5 x5, splits into two tables of 64
// entries, which is what `vpermb` looks up at once:
//
//     f = A[byte >> 2] + B[byte & 63]        bit  7 6 5 4 3 | 2 1 0
//                                                 h         | v
//
//     h of the 27 smallest with h % 8 != 7     (t1, t2, t3) = digits of the rank of h   (t4, t5) = kPairs[v]
//     h = 7, 15, 23                            t1 = h / 8 - 1   t4 = t5 = 0             (t2, t3) = kPairs[v]
//     bytes 248, 252, 240                      -1 0 0 0 0,  +1 0 0 0 0,  0 0 0 0 0
//
// B knows v and h % 8, so it tells the second row of the table (h % 8 == 7) from the first. A is a sum of at most three
// of the x, B of at most two.

#include "kernels/kernels.h"

namespace tern::kernels {

extern const TernaryLayout kE5;

namespace {
namespace e5 {

constexpr std::size_t kRows = 64;      // of a block
constexpr std::size_t kGroupCols = 5;  // columns that share a byte
constexpr std::size_t kSpanGroups = 64;
constexpr std::size_t kSpanCols = kSpanGroups * kGroupCols;  // 320
constexpr std::size_t kGroupsTogether = 4;                   // groups that a span's number of them is a multiple of

/// Groups of the span that begins at a multiple of kSpanCols, `cols` columns before the end.
constexpr std::size_t span_groups(std::size_t cols) {
  if (cols >= kSpanCols) return kSpanGroups;
  return (cols + kGroupsTogether * kGroupCols - 1) / (kGroupsTogether * kGroupCols) * kGroupsTogether;
}

constexpr std::size_t n_spans(std::size_t cols) { return (cols + kSpanCols - 1) / kSpanCols; }
constexpr std::size_t n_groups(std::size_t cols) {
  return cols / kSpanCols * kSpanGroups + span_groups(cols % kSpanCols);
}
constexpr std::size_t block_bytes(std::size_t cols) { return n_groups(cols) * kRows; }

/// The row whose code is byte `i` of a group; also the byte of row `i`.
constexpr std::size_t row_of_byte(std::size_t i) { return (i & 3U) | (i >> 2U & 3U) << 4U | i >> 4U << 2U; }

constexpr int kPairs[8][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}, {1, -1}, {-1, 1}, {-1, -1}};
constexpr std::uint8_t kZeroByte = 240;  // five zeros

/// The two tables of f = w[0] t1 + ... + w[4] t5, modulo 256.
struct Tables {
  std::uint8_t a[64];
  std::uint8_t b[64];
};

constexpr Tables make_tables(int w1, int w2, int w3, int w4, int w5) {
  Tables tables = {};
  for (int h = 0, rank = 0; h < 30; ++h) {
    int sum = (h / 8 - 1) * w1;
    if (h % 8 != 7) {
      sum = (rank % 3 - 1) * w1 + (rank / 3 % 3 - 1) * w2 + (rank / 9 - 1) * w3;
      ++rank;
    }
    tables.a[2 * h] = tables.a[2 * h + 1] = static_cast<std::uint8_t>(sum);
  }
  tables.a[kZeroByte >> 2U] = static_cast<std::uint8_t>(-w4);
  tables.a[248U >> 2U] = static_cast<std::uint8_t>(-w1 - w2);
  tables.a[252U >> 2U] = static_cast<std::uint8_t>(w1 - w2 - w3);
  for (int i = 0; i < 64; ++i) {
    const int* pair = kPairs[i % 8];
    tables.b[i] = static_cast<std::uint8_t>(i / 8 == 7 ? pair[0] * w2 + pair[1] * w3 : pair[0] * w4 + pair[1] * w5);
  }
  return tables;
}

/// Whether a byte stands for five trits: 243 of 256 do.
constexpr bool is_code(unsigned byte) { return byte < kZeroByte || byte == kZeroByte || byte == 248 || byte == 252; }

}  // namespace e5
}  // namespace
}  // namespace tern::kernels
