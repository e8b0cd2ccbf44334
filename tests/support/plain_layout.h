#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace tern::test {

inline constexpr std::size_t kPlainRowBlock = 3;  // divides few matrices, so that last blocks are often partial

inline std::size_t plain_stride(std::size_t cols) { return (cols + 63) / 64 * 64; }
inline std::size_t plain_block_bytes(std::size_t cols) { return kPlainRowBlock * plain_stride(cols); }

inline void plain_pack(const std::uint8_t* codes, std::size_t stride, std::size_t n_rows, std::size_t cols,
                       std::uint8_t* block) {
  std::fill_n(block, plain_block_bytes(cols), std::uint8_t{1});
  for (std::size_t r = 0; r < n_rows; ++r) std::copy_n(codes + r * stride, cols, block + r * plain_stride(cols));
}

/// A layout that keeps one code per byte, so that tests can look inside: row r of a matrix begins at
/// r * plain_stride(cols).
inline constexpr kernels::TernaryLayout kPlainLayout{.name = "plain",
                                                     .bits_per_weight = 8,
                                                     .row_block = kPlainRowBlock,
                                                     .block_bytes = plain_block_bytes,
                                                     .pack = plain_pack};

}  // namespace tern::test
