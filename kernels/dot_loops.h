#pragma once

// The outer loops of the dot-product kernels, over strips of rows and blocks of tokens. Included by those kernels; all
// names are local to the including file (see kernels.h).
//
// A kernel supplies its inner tiles, one struct for decoding and one for prompts:
//
//     struct Tile {
//       using Columns = ...;                              // of its layout, see dot_operand.h
//       static constexpr std::size_t kRows = ...;         // of a strip; kBlockRows or a part of it
//       static constexpr std::size_t kTokens = ...;       // of a full token block
//       static constexpr std::size_t kTogether = ...;     // columns of a token side by side, see dot_operand.h
//       // Weights are unpacked, if at all, in chunks of columns that stay in the first cache, for a group of tokens
//       // whose sums do not leave the second. A multiple of the layout's spans; a multiple of kTokens.
//       static constexpr std::size_t kChunkCols = ...;
//       static constexpr std::size_t kGroupTokens = ...;
//       static std::size_t scratch_bytes(std::size_t cols);  // of an unpacked chunk
//       // The strip that begins at `row` of a block's chunk, perhaps unpacked into scratch.
//       static const std::uint8_t* strip(const std::uint8_t* chunk, std::size_t row, std::size_t cols,
//                                        std::uint8_t* scratch);
//       // Adds the products of codes and activations of kN <= kTokens tokens. x: columns 0 .. kTogether - 1 of token
//       // 0, 1, .. kN - 1, the next columns, ...; sums: (kN, kRows), 64-byte aligned. `ahead` may be asked to fetch as
//       // many lines as are read.
//       template <std::size_t kN>
//       static void add(const std::uint8_t* strip, const std::uint8_t* x, std::size_t cols, BlockAhead& ahead,
//                       std::int32_t* sums);
//     };

#include "kernels/block_ahead.h"
#include "kernels/dot_operand.h"
#include "kernels/scaled_sums.h"

namespace tern::kernels {
namespace {

/// What tiles have in common that multiply codes as they lie.
template <typename LayoutColumns, std::size_t kBlockTokens>
struct PackedStrip {
  using Columns = LayoutColumns;
  static constexpr std::size_t kRows = kBlockRows;
  static constexpr std::size_t kTokens = kBlockTokens;
  static constexpr std::size_t kTogether = kQuad;
  static constexpr std::size_t kChunkCols = kMaxCols;
  static constexpr std::size_t kGroupTokens = kBlockTokens;

  static std::size_t scratch_bytes(std::size_t /*cols*/) { return 0; }
  static const std::uint8_t* strip(const std::uint8_t* chunk, std::size_t /*row*/, std::size_t /*cols*/,
                                   std::uint8_t* /*scratch*/) {
    return chunk;
  }
};

/// What tiles have in common that multiply codes unpacked to a byte each: 640 columns of up to 32 rows are 20 KB.
template <typename LayoutColumns, std::size_t kStripRows, std::size_t kBlockTokens, std::size_t kCols = kQuad>
struct UnpackedStrip {
  using Columns = LayoutColumns;
  static constexpr std::size_t kRows = kStripRows;
  static constexpr std::size_t kTokens = kBlockTokens;
  static constexpr std::size_t kTogether = kCols;
  static constexpr std::size_t kChunkCols = 640;
  static_assert(kChunkCols % e5::kSpanCols == 0 && kChunkCols % tile16x4::kStepCols == 0);
  static constexpr std::size_t kGroupTokens = 128 / kBlockTokens * kBlockTokens;

  static std::size_t scratch_bytes(std::size_t cols) {
    return Columns::padded(cols < kChunkCols ? cols : kChunkCols) * kRows;
  }
};

template <typename Tile>
struct DotRoutine {
  using Operand = DotOperand<typename Tile::Columns, Tile::kTokens, Tile::kTogether>;
  static_assert(kBlockRows % Tile::kRows == 0 && Tile::kGroupTokens % Tile::kTokens == 0);

  /// Calls Tile::add<n>: the number of tokens is a constant there, for its sums to stay in registers.
  template <std::size_t kN = Tile::kTokens>
  static void add(std::size_t n, const std::uint8_t* strip, const std::uint8_t* x, std::size_t cols, BlockAhead& ahead,
                  std::int32_t* sums) {
    if constexpr (kN > 1) {
      if (n < kN) return add<kN - 1>(n, strip, x, cols, ahead, sums);
    }
    Tile::template add<kN>(strip, x, cols, ahead, sums);
  }

  /// Rows [row, row_end), at most kBlockRows of one block, and tokens [first, last), at most kGroupTokens.
  struct Piece {
    std::size_t row, row_end;
    std::size_t first, last;

    [[nodiscard]] std::size_t n_strips() const { return (row_end - row + Tile::kRows - 1) / Tile::kRows; }
  };
  /// Sums of one strip in a piece: (kGroupTokens, kRows).
  static constexpr std::size_t kStripSums = Tile::kGroupTokens * Tile::kRows;

  static void start_sums(const TernaryProduct& p, const Piece& piece, std::int32_t* sums) {
    for (std::size_t t = piece.first; t < piece.last; ++t) {
      const std::int32_t start = -Operand::sums(Operand::block(p.operand, t, p.cols))[t % Tile::kTokens];
      for (std::size_t s = 0; s < piece.n_strips(); ++s) {
        std::int32_t* row = sums + s * kStripSums + (t - piece.first) * Tile::kRows;
        for (std::size_t i = 0; i < Tile::kRows; ++i) row[i] = start;
      }
    }
  }

  /// Adds the products of a strip's columns [begin, begin + cols) with all tokens.
  static void add_strip(const TernaryProduct& p, const Piece& piece, const std::uint8_t* strip, std::size_t begin,
                        BlockAhead& ahead, std::int32_t* sums) {
    const std::size_t cols = p.cols - begin < Tile::kChunkCols ? p.cols - begin : Tile::kChunkCols;
    for (std::size_t first = piece.first; first < piece.last; first += Tile::kTokens) {
      const std::size_t n = p.n_tokens - first < Tile::kTokens ? p.n_tokens - first : Tile::kTokens;
      const std::uint8_t* x = Operand::columns(Operand::block(p.operand, first, p.cols)) + begin * n;
      add(n, strip, x, cols, ahead, sums + (first - piece.first) * Tile::kRows);
    }
  }

  /// Chunk by chunk, so that weights are read from memory in order, and by all strips while they are near.
  static void add_chunks(const TernaryProduct& p, const Piece& piece, std::int32_t* sums) {
    const std::size_t block_bytes = Tile::Columns::block_bytes(p.cols);
    const std::uint8_t* block = weights_at(p, piece.row / kBlockRows, block_bytes);
    BlockAhead ahead = ahead_of(p, piece.row / kBlockRows, block_bytes);
    for (std::size_t c = 0; c < p.cols; c += Tile::kChunkCols) {
      const std::size_t cols = p.cols - c < Tile::kChunkCols ? p.cols - c : Tile::kChunkCols;
      const std::uint8_t* chunk = block + Tile::Columns::block_bytes(c);
      for (std::size_t s = 0; s < piece.n_strips(); ++s) {
        add_strip(p, piece, Tile::strip(chunk, s * Tile::kRows, cols, p.scratch), c, ahead, sums + s * kStripSums);
      }
    }
  }

  static void hand_over(const TernaryProduct& p, const Piece& piece, const std::int32_t* sums) {
    for (std::size_t s = 0; s < piece.n_strips(); ++s) {
      const std::size_t row = piece.row + s * Tile::kRows;
      const std::size_t n_rows = piece.row_end - row < Tile::kRows ? piece.row_end - row : Tile::kRows;
      for (std::size_t t = piece.first; t < piece.last; ++t) {
        p.sink.take(p.sink.context, t, row, n_rows, sums + s * kStripSums + (t - piece.first) * Tile::kRows);
      }
    }
  }

  /// Group by group: its operand stays in the second cache while the weights, which are fewer bytes, pass by.
  template <typename F>
  static void for_each_piece(const TernaryProduct& p, const F& f) {
    for (std::size_t t = p.token_begin; t < p.token_end; t += Tile::kGroupTokens) {
      const std::size_t t_end = p.token_end - t < Tile::kGroupTokens ? p.token_end : t + Tile::kGroupTokens;
      for (std::size_t row = p.row_begin; row < p.row_end; row += kBlockRows) {
        const std::size_t row_end = p.row_end - row < kBlockRows ? p.row_end : row + kBlockRows;
        f(Piece{row, row_end, t, t_end});
      }
    }
  }

  static void multiply(const TernaryProduct& p) {
    alignas(64) std::int32_t sums[kBlockRows / Tile::kRows * kStripSums];
    for_each_piece(p, [&](const Piece& piece) {
      start_sums(p, piece, sums);
      add_chunks(p, piece, sums);
      hand_over(p, piece, sums);
    });
  }

  // --- scales per block of columns ---

  /// Results of a strip in a piece: (kGroupTokens, kRows), of which the sums of a block of columns are added.
  struct ScaledStrip {
    const BlockScales& scales;
    std::size_t row;
    float* totals;
  };

  /// Adds the products of a block of columns with all tokens. The sums of a token block, which are few, are scaled and
  /// added to the results at once. block: its weights; sums: (kGroupTokens, kRows)
  static void add_scaled_strip(const TernaryProduct& p, const Piece& piece, const ScaledStrip& to,
                               const std::uint8_t* block, BlockAhead& ahead, std::int32_t* sums) {
    std::uint16_t padded[Tile::kRows];
    const std::uint16_t* row_scales = row_scales_at(to.scales, p.col_block, to.row, padded);
    const double* steps = to.scales.steps + p.col_block * p.n_tokens;
    for (std::size_t c = 0; c < p.cols; c += Tile::kChunkCols) {
      const std::size_t cols = p.cols - c < Tile::kChunkCols ? p.cols - c : Tile::kChunkCols;
      const std::uint8_t* strip =
          Tile::strip(block + Tile::Columns::block_bytes(c), to.row % kBlockRows, cols, p.scratch);
      for (std::size_t first = piece.first; first < piece.last; first += Tile::kTokens) {
        const std::size_t n = p.n_tokens - first < Tile::kTokens ? p.n_tokens - first : Tile::kTokens;
        const std::uint8_t* x = Operand::block(p.operand, first, p.cols);
        const std::size_t at = (first - piece.first) * Tile::kRows;
        if (c == 0) start_block(Operand::sums(x), n, sums + at);
        add(n, strip, Operand::columns(x) + c * n, cols, ahead, sums + at);
        if (c + cols == p.cols) add_scaled<Tile::kRows>(sums + at, n, steps + first, row_scales, to.totals + at);
      }
    }
  }

  /// sums: (n, kRows)
  static void start_block(const std::int32_t* x_sums, std::size_t n, std::int32_t* sums) {
    for (std::size_t t = 0; t < n; ++t, sums += Tile::kRows) {
      for (std::size_t i = 0; i < Tile::kRows; ++i) sums[i] = -x_sums[t];
    }
  }

  static void hand_over_totals(const BlockScales& scales, const Piece& piece, const float* totals) {
    for (std::size_t s = 0; s < piece.n_strips(); ++s) {
      const std::size_t row = piece.row + s * Tile::kRows;
      const std::size_t n_rows = piece.row_end - row < Tile::kRows ? piece.row_end - row : Tile::kRows;
      for (std::size_t t = piece.first; t < piece.last; ++t) {
        copy_rows<Tile::kRows>(totals + s * kStripSums + (t - piece.first) * Tile::kRows, n_rows,
                               scales.y + t * scales.stride + row);
      }
    }
  }

  static void multiply_scaled_piece(TernaryProduct p, const BlockScales& scales, const Piece& piece) {
    alignas(64) float totals[kBlockRows / Tile::kRows * kStripSums];
    alignas(64) std::int32_t sums[kStripSums];
    for (std::size_t i = 0; i < piece.n_strips() * kStripSums; ++i) totals[i] = kNoTotal;
    const std::size_t block_bytes = Tile::Columns::block_bytes(p.cols);
    const std::uint8_t* block = weights_at(p, piece.row / kBlockRows, block_bytes);
    BlockAhead ahead = ahead_of(p, piece.row / kBlockRows, block_bytes);
    for (; p.col_block < p.n_col_blocks; ++p.col_block, p.operand += scales.operand_bytes, block += block_bytes) {
      for (std::size_t s = 0; s < piece.n_strips(); ++s) {
        const ScaledStrip to = {scales, piece.row + s * Tile::kRows, totals + s * kStripSums};
        add_scaled_strip(p, piece, to, block, ahead, sums);
      }
    }
    hand_over_totals(scales, piece, totals);
  }

  /// The same where a piece is one strip with one block of tokens, whose number is a constant here.
  template <std::size_t kN = Tile::kTokens>
  static void multiply_scaled_block(const TernaryProduct& p, const BlockScales& scales, const Piece& piece) {
    if constexpr (kN > 1) {
      if (piece.last - piece.first < kN) return multiply_scaled_block<kN - 1>(p, scales, piece);
    }
    alignas(64) float totals[kN * kBlockRows];
    alignas(64) std::int32_t sums[kN * kBlockRows];
    for (float& total : totals) total = kNoTotal;
    const std::size_t block_bytes = Tile::Columns::block_bytes(p.cols);
    const std::uint8_t* block = weights_at(p, piece.row / kBlockRows, block_bytes);
    const std::uint8_t* x = Operand::block(p.operand, piece.first, p.cols);
    BlockAhead ahead = ahead_of(p, piece.row / kBlockRows, block_bytes);
    for (std::size_t b = 0; b < p.n_col_blocks; ++b, block += block_bytes, x += scales.operand_bytes) {
      std::uint16_t padded[kBlockRows];
      const std::uint16_t* row_scales = row_scales_at(scales, b, piece.row, padded);
      start_block(Operand::sums(x), kN, sums);
      Tile::template add<kN>(block, Operand::columns(x), p.cols, ahead, sums);
      add_scaled<kBlockRows>(sums, kN, scales.steps + b * p.n_tokens + piece.first, row_scales, totals);
    }
    hand_over_totals(scales, piece, totals);
  }

  static void multiply_scaled(const TernaryProduct& p, const BlockScales& scales) {
    for_each_piece(p, [&](const Piece& piece) {
      if constexpr (Tile::kRows == kBlockRows && Tile::kGroupTokens == Tile::kTokens) {
        multiply_scaled_block(p, scales, piece);
      } else {
        multiply_scaled_piece(p, scales, piece);
      }
    });
  }

  /// Rows: few tokens leave so little work that threads share it out in longer pieces.
  static Grain grain(std::size_t /*n_tokens*/, std::size_t /*cols*/) {
    return {Tile::kGroupTokens < 64 ? 4 * kBlockRows : kBlockRows, Tile::kGroupTokens, kBlockRows};
  }

  static constexpr TernaryRoutine kTable = {.operand_bytes = Operand::bytes,
                                            .prepare = Operand::prepare,
                                            .scratch_bytes = Tile::scratch_bytes,
                                            .grain = grain,
                                            .multiply = multiply,
                                            .multiply_scaled = multiply_scaled};
};

}  // namespace
}  // namespace tern::kernels
