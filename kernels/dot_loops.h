#pragma once

// The outer loops of the dot-product kernels, over strips of rows and blocks of tokens. Included by those kernels; all
// names are local to the including file (see kernels.h).
//
// A kernel supplies its inner tiles, one struct for decoding and one for prompts:
//
//     struct Tile {
//       using Columns = ...;                        // of its layout, see dot_operand.h
//       static constexpr std::size_t kRows = ...;   // of a strip; kBlockRows or a part of it
//       static constexpr std::size_t kTokens = ...; // of a full token block
//       // Bytes that a strip needs to be unpacked, 0 if it is read as it lies.
//       static std::size_t scratch_bytes(std::size_t cols);
//       // The strip that begins at `row` of a block, perhaps unpacked into scratch.
//       static const std::uint8_t* strip(const std::uint8_t* block, std::size_t row, std::size_t cols,
//                                        std::uint8_t* scratch);
//       // Adds the products of codes and activations of kN <= kTokens tokens. sums: (kN, kRows), 64-byte aligned.
//       template <std::size_t kN>
//       static void add(const std::uint8_t* strip, const std::uint8_t* quads, std::size_t cols, std::int32_t* sums);
//     };

#include "kernels/dot_operand.h"

namespace tern::kernels {
namespace {

template <typename Tile>
struct DotRoutine {
  using Operand = DotOperand<typename Tile::Columns, Tile::kTokens>;
  static_assert(kBlockRows % Tile::kRows == 0);

  /// Calls Tile::add<n>: the number of tokens is a constant there, for its sums to stay in registers.
  template <std::size_t kN = Tile::kTokens>
  static void add(std::size_t n, const std::uint8_t* strip, const std::uint8_t* quads, std::size_t cols,
                  std::int32_t* sums) {
    if constexpr (kN > 1) {
      if (n < kN) return add<kN - 1>(n, strip, quads, cols, sums);
    }
    Tile::template add<kN>(strip, quads, cols, sums);
  }

  /// Multiplies the strip that begins at row `row` with all tokens.
  static void multiply_strip(const TernaryProduct& p, std::size_t row, const std::uint8_t* strip) {
    const std::size_t n_rows = p.row_end - row < Tile::kRows ? p.row_end - row : Tile::kRows;
    for (std::size_t first = p.token_begin; first < p.token_end; first += Tile::kTokens) {
      const std::uint8_t* block = Operand::block(p.operand, first, p.cols);
      const std::size_t n = p.n_tokens - first < Tile::kTokens ? p.n_tokens - first : Tile::kTokens;
      alignas(64) std::int32_t sums[Tile::kTokens * Tile::kRows];
      for (std::size_t t = 0; t < n; ++t) {
        for (std::size_t i = 0; i < Tile::kRows; ++i) sums[t * Tile::kRows + i] = -Operand::sums(block)[t];
      }
      add(n, strip, Operand::quads(block), p.cols, sums);
      for (std::size_t t = 0; t < n; ++t) {
        p.sink.take(p.sink.context, first + t, row, n_rows, sums + t * Tile::kRows);
      }
    }
  }

  static void multiply(const TernaryProduct& p) {
    for (std::size_t row = p.row_begin; row < p.row_end; row += Tile::kRows) {
      const std::uint8_t* block = p.weights + row / kBlockRows * Tile::Columns::block_bytes(p.cols);
      multiply_strip(p, row, Tile::strip(block, row % kBlockRows, p.cols, p.scratch));
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
