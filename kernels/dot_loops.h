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
//       // Weights are unpacked, if at all, in chunks of columns that stay in the first cache, for a group of tokens
//       // whose sums do not leave the second. A multiple of the layout's spans; a multiple of kTokens.
//       static constexpr std::size_t kChunkCols = ...;
//       static constexpr std::size_t kGroupTokens = ...;
//       static std::size_t scratch_bytes(std::size_t cols);  // of an unpacked chunk
//       // The strip that begins at `row` of a block's chunk, perhaps unpacked into scratch.
//       static const std::uint8_t* strip(const std::uint8_t* chunk, std::size_t row, std::size_t cols,
//                                        std::uint8_t* scratch);
//       // Adds the products of codes and activations of kN <= kTokens tokens. sums: (kN, kRows), 64-byte aligned.
//       template <std::size_t kN>
//       static void add(const std::uint8_t* strip, const std::uint8_t* quads, std::size_t cols, std::int32_t* sums);
//     };

#include "kernels/dot_operand.h"

namespace tern::kernels {
namespace {

/// What tiles have in common that multiply codes as they lie.
template <typename LayoutColumns, std::size_t kBlockTokens>
struct PackedStrip {
  using Columns = LayoutColumns;
  static constexpr std::size_t kRows = kBlockRows;
  static constexpr std::size_t kTokens = kBlockTokens;
  static constexpr std::size_t kChunkCols = kMaxCols;
  static constexpr std::size_t kGroupTokens = kBlockTokens;

  static std::size_t scratch_bytes(std::size_t /*cols*/) { return 0; }
  static const std::uint8_t* strip(const std::uint8_t* chunk, std::size_t /*row*/, std::size_t /*cols*/,
                                   std::uint8_t* /*scratch*/) {
    return chunk;
  }
};

/// What tiles have in common that multiply codes unpacked to a byte each: 640 columns of up to 32 rows are 20 KB.
template <typename LayoutColumns, std::size_t kStripRows, std::size_t kBlockTokens>
struct UnpackedStrip {
  using Columns = LayoutColumns;
  static constexpr std::size_t kRows = kStripRows;
  static constexpr std::size_t kTokens = kBlockTokens;
  static constexpr std::size_t kChunkCols = 640;
  static constexpr std::size_t kGroupTokens = 128 / kBlockTokens * kBlockTokens;

  static std::size_t scratch_bytes(std::size_t cols) {
    return Columns::padded(cols < kChunkCols ? cols : kChunkCols) * kRows;
  }
};

template <typename Tile>
struct DotRoutine {
  using Operand = DotOperand<typename Tile::Columns, Tile::kTokens>;
  static_assert(kBlockRows % Tile::kRows == 0 && Tile::kGroupTokens % Tile::kTokens == 0);

  /// Calls Tile::add<n>: the number of tokens is a constant there, for its sums to stay in registers.
  template <std::size_t kN = Tile::kTokens>
  static void add(std::size_t n, const std::uint8_t* strip, const std::uint8_t* quads, std::size_t cols,
                  std::int32_t* sums) {
    if constexpr (kN > 1) {
      if (n < kN) return add<kN - 1>(n, strip, quads, cols, sums);
    }
    Tile::template add<kN>(strip, quads, cols, sums);
  }

  /// Where a strip begins, and the tokens [first, last) that it is multiplied with.
  struct Piece {
    std::size_t row, first, last;
  };

  /// Tokens of the block whose first token is `first`.
  static std::size_t block_tokens(const TernaryProduct& p, std::size_t first) {
    return p.n_tokens - first < Tile::kTokens ? p.n_tokens - first : Tile::kTokens;
  }

  /// sums: (tokens of the piece, kRows)
  static void start_sums(const TernaryProduct& p, const Piece& piece, std::int32_t* sums) {
    for (std::size_t t = piece.first; t < piece.last; ++t, sums += Tile::kRows) {
      const std::int32_t start = -Operand::sums(Operand::block(p.operand, t, p.cols))[t % Tile::kTokens];
      for (std::size_t i = 0; i < Tile::kRows; ++i) sums[i] = start;
    }
  }

  /// Adds the products of columns `begin` on, at most kChunkCols.
  static void add_chunk(const TernaryProduct& p, const Piece& piece, std::size_t begin, std::int32_t* sums) {
    const std::size_t cols = p.cols - begin < Tile::kChunkCols ? p.cols - begin : Tile::kChunkCols;
    const std::uint8_t* block = p.weights + piece.row / kBlockRows * Tile::Columns::block_bytes(p.cols);
    const std::uint8_t* strip =
        Tile::strip(block + Tile::Columns::block_bytes(begin), piece.row % kBlockRows, cols, p.scratch);
    for (std::size_t first = piece.first; first < piece.last; first += Tile::kTokens) {
      const std::size_t n = block_tokens(p, first);
      const std::uint8_t* quads = Operand::quads(Operand::block(p.operand, first, p.cols)) + begin * n;
      add(n, strip, quads, cols, sums + (first - piece.first) * Tile::kRows);
    }
  }

  static void multiply_piece(const TernaryProduct& p, const Piece& piece) {
    alignas(64) std::int32_t sums[Tile::kGroupTokens * Tile::kRows];
    start_sums(p, piece, sums);
    for (std::size_t c = 0; c < p.cols; c += Tile::kChunkCols) {
      add_chunk(p, piece, c, sums);
    }
    const std::size_t n_rows = p.row_end - piece.row < Tile::kRows ? p.row_end - piece.row : Tile::kRows;
    for (std::size_t t = piece.first; t < piece.last; ++t) {
      p.sink.take(p.sink.context, t, piece.row, n_rows, sums + (t - piece.first) * Tile::kRows);
    }
  }

  static void multiply(const TernaryProduct& p) {
    for (std::size_t row = p.row_begin; row < p.row_end; row += Tile::kRows) {
      for (std::size_t t = p.token_begin; t < p.token_end; t += Tile::kGroupTokens) {
        multiply_piece(p, {row, t, p.token_end - t < Tile::kGroupTokens ? p.token_end : t + Tile::kGroupTokens});
      }
    }
  }

  /// Rows: long enough for the threads to share work out cheaply, short enough to share it out evenly. Tokens stay
  /// together: they share the weights.
  static Grain grain(std::size_t n_tokens, std::size_t /*cols*/) {
    return {Tile::scratch_bytes(1) == 0 ? 4 * kBlockRows : kBlockRows, n_tokens};
  }

  static constexpr TernaryRoutine kTable = {.operand_bytes = Operand::bytes,
                                            .prepare = Operand::prepare,
                                            .scratch_bytes = Tile::scratch_bytes,
                                            .grain = grain,
                                            .multiply = multiply};
};

}  // namespace
}  // namespace tern::kernels
