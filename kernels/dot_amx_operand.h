#pragma once

// The activations of the AMX kernel. Included by that kernel; all names are local to the including file (see
// kernels.h).
//
//     operand       | token tile 0 | token tile 1 | ...                    16 tokens each
//     token tile    | columns 0-63 | columns 64-127 | ...                          tiles of 1 KB
//     columns       line t: of token t, zeros where there are no more
//
// Lines of tokens that do not exist are left as they are: what comes of them is not handed over.

#include <immintrin.h>

#include "kernels/dot_amx_tiles.h"
#include "kernels/layout_e5.h"

namespace tern::kernels {
namespace {
namespace amx {

struct Operand {
  /// Tiles of columns.
  static constexpr std::size_t n_col_tiles(std::size_t cols) { return (cols + kTileCols - 1) / kTileCols; }
  /// Of the span that begins `cols` columns before the end.
  static constexpr std::size_t span_tiles(std::size_t cols) {
    return n_col_tiles(cols < e5::kSpanCols ? cols : e5::kSpanCols);
  }
  static constexpr std::size_t tile_bytes(std::size_t cols) { return n_col_tiles(cols) * kTileBytes; }
  static constexpr std::size_t n_tiles(std::size_t n_tokens) { return (n_tokens + kTileTokens - 1) / kTileTokens; }
  static std::size_t bytes(std::size_t n_tokens, std::size_t cols) { return n_tiles(n_tokens) * tile_bytes(cols); }

  /// Parts share the tokens.
  static void prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part,
                      std::size_t n_parts, std::uint8_t* operand) {
    const std::size_t end = n_tokens * (part + 1) / n_parts;
    for (std::size_t t = n_tokens * part / n_parts; t < end;) {
      const std::size_t line = t % kTileTokens;
      const std::size_t n_lines = end - t < kTileTokens - line ? end - t : kTileTokens - line;
      fill_lines(x + t * cols, n_lines, cols, operand + t / kTileTokens * tile_bytes(cols) + line * kLineBytes);
      t += n_lines;
    }
  }

 private:
  /// x: (n_lines, cols), tokens of one tile; `lines`: the first of their lines in its first tile register.
  static void fill_lines(const std::int8_t* x, std::size_t n_lines, std::size_t cols, std::uint8_t* lines) {
    for (std::size_t begin = 0; begin < cols; begin += kTileCols, lines += kTileBytes) {
      const std::size_t n = cols - begin;
      const __mmask64 mask = n >= kTileCols ? ~__mmask64{0} : (__mmask64{1} << n) - 1;
      for (std::size_t t = 0; t < n_lines; ++t) {
        _mm512_store_si512(lines + t * kLineBytes, _mm512_maskz_loadu_epi8(mask, x + t * cols + begin));
      }
    }
  }
};

}  // namespace amx
}  // namespace
}  // namespace tern::kernels
