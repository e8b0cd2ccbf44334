#pragma once

// Where the AMX kernel finds what it multiplies, when there are many tokens. Included by that kernel; all names are
// local to the including file (see kernels.h).

#include <immintrin.h>

#include "kernels/dot_amx_decode.h"
#include "kernels/dot_amx_operand.h"
#include "kernels/weights_at.h"

namespace tern::kernels {
namespace {
namespace amx {

constexpr std::size_t kSpanTiles = e5::kSpanCols / kTileCols;
constexpr std::size_t kChunkSpans = 3;  // decoded together; with the activations they meet, they fit the first cache
constexpr std::size_t kMaxBlockTokens = 256;

/// Weights that come next, fetched into the second cache a few lines at a time.
struct Ahead {
  const std::uint8_t* next;
  std::size_t n_lines;  // at a time

  void fetch() {
    for (std::size_t i = 0; i < n_lines; ++i, next += kLineBytes) _mm_prefetch(next, _MM_HINT_T1);
  }
};

inline TokenTiles tokens_at(const TernaryProduct& p, std::size_t token) {
  const std::size_t stride = Operand::tile_bytes(p.cols);
  return {p.operand + token / kTileTokens * stride, stride};
}

inline const std::uint8_t* block_at(const TernaryProduct& p, std::size_t row) {
  return weights_at(p, row / e5::kRows, e5::block_bytes(p.cols));
}

/// While a strip is multiplied, half of a block is fetched: the one that comes half a block later.
inline Ahead ahead_of_strip(const TernaryProduct& p, std::size_t row, std::size_t n_calls,
                            std::size_t n_col_blocks = 1) {
  const std::size_t half_bytes = n_col_blocks * e5::block_bytes(p.cols) / 2;
  const std::size_t half = row % e5::kRows / kStripRows;
  return {block_at(p, row) + (half + 1) * half_bytes, (half_bytes / kLineBytes + n_calls - 1) / n_calls};
}

}  // namespace amx
}  // namespace
}  // namespace tern::kernels
