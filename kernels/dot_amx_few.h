#pragma once

// Products of up to 32 tokens with AMX. Included by that kernel; all names are local to the including file (see
// kernels.h).
//
// The sums of a strip stay in the tile registers for all columns. While the panel of one span is multiplied, that of
// the next is decoded into another: a little of either in turn, so that neither instructions of vectors nor those of
// tiles wait for the others, and tiles are loaded long after they were stored.

#include "kernels/block_ahead.h"
#include "kernels/dot_amx_decode.h"
#include "kernels/dot_amx_operand.h"
#include "kernels/dot_amx_outbox.h"
#include "kernels/weights_at.h"

namespace tern::kernels {
namespace {
namespace amx {

constexpr std::size_t kFewTokens = 2 * kTileTokens;

/// Memory of a thread.
struct FewScratch {
  alignas(64) std::uint8_t panels[2][kPanelBytes];  // 20 KB
  alignas(64) std::int32_t sums[3][kFewTokens * e5::kRows];
  alignas(64) float totals[kFewTokens * e5::kRows];  // of blocks of columns with their own scales
};

constexpr std::size_t kTurns = e5::kSpanCols / kTileCols;              // of multiplying a span and decoding the next
constexpr std::size_t kSpanTurns = kTurns * (e5::kRows / kStripRows);  // both strips of a block take turns with a span

/// Products of one or two token tiles with some blocks of columns, computed by one thread.
template <int kTokenTiles, class Box>
struct Few {
  // One token tile leaves registers for the sums of both strips of a block.
  static constexpr int kStrips = kTokenTiles == 1 ? 2 : 1;
  static constexpr int kRowTiles = kStrips * static_cast<int>(kStripTiles);
  using Sums = SumTiles<kTokenTiles, kRowTiles>;

  const TernaryProduct& p;  // with the first of the blocks
  FewScratch& scratch;
  Box& outbox;
  std::size_t n_blocks;       // of columns
  std::size_t operand_bytes;  // from one of them to the next
  std::size_t block_bytes = e5::block_bytes(p.cols);
  std::size_t tile_bytes = Operand::tile_bytes(p.cols);
  // Those of a product of few columns are handed over faster.
  std::size_t n_steps = e5::n_spans(p.cols) * (Box::kEveryTurn ? kSpanTurns : 1);
  std::size_t step_tokens = (kTokenTiles * kTileTokens + n_steps - 1) / n_steps;

  /// Where a strip begins: which rows, which block of columns.
  struct Place {
    std::size_t row, half, block;
  };
  /// Nothing behind the last row.
  [[nodiscard]] StripSpan span_at(Place at, std::size_t col) const {
    const std::size_t n = at.row < p.row_end ? e5::span_groups(p.cols - col) / e5::kGroupsTogether : 0;
    return {weights_at(p, at.row / e5::kRows, block_bytes) + at.block * block_bytes + e5::block_bytes(col), at.half, n};
  }
  /// The first strip of the next block of columns, or of rows.
  [[nodiscard]] Place after(Place at) const {
    return at.block + 1 < n_blocks ? Place{at.row, 0, at.block + 1} : Place{at.row + e5::kRows, 0, 0};
  }
  [[nodiscard]] TokenTiles tokens_at(std::size_t block, std::size_t col) const {
    return {p.operand + block * operand_bytes + p.token_begin / kTileTokens * tile_bytes + col / kTileCols * kTileBytes,
            tile_bytes};
  }

  void decode(const StripSpan& span, std::size_t panel) {
    decode_steps(Decoder(), span, 0, span.n_steps, scratch.panels[panel]);
  }

  /// Multiplies a panel while the next one is decoded into the other. x: of the span `cols` before the end
  template <int kFirstRow>
  void take_turn(TokenTiles x, std::size_t cols, std::size_t panel, const StripSpan& next, BlockAhead& ahead) {
    const Decoder decoder;
    const std::size_t n_tiles = Operand::span_tiles(cols);
    const std::size_t n_fetches = (e5::span_groups(cols) / BlockAhead::kRuns + 1) / 2;  // two strips fetch a span
#pragma GCC unroll 5
    for (std::size_t i = 0; i < kTurns; ++i, x.first += kTileBytes) {
      const std::size_t step = next.n_steps * i / kTurns;
      const std::size_t end = next.n_steps * (i + 1) / kTurns;
      decode_steps(decoder, next, step, end, scratch.panels[1 - panel]);
      if (i < n_tiles) Sums::template add<kFirstRow>(x, scratch.panels[panel] + i * kColsBytes);
      if (i < n_fetches) ahead.fetch();
      if constexpr (Box::kEveryTurn) outbox.hand_over(step_tokens);
    }
  }

  void end_span() {
    if constexpr (!Box::kEveryTurn) outbox.hand_over(step_tokens);
  }

  /// Both strips of a block together, span by span.
  void multiply_pair(Place at, BlockAhead& ahead, std::int32_t* sums) {
    Sums::clear();
    for (std::size_t col = 0; col < p.cols; col += e5::kSpanCols) {
      const std::size_t next_col = col + e5::kSpanCols;
      const TokenTiles x = tokens_at(at.block, col);
      take_turn<0>(x, p.cols - col, 0, span_at({at.row, 1, at.block}, col), ahead);
      take_turn<kStripTiles>(x, p.cols - col, 1, next_col < p.cols ? span_at(at, next_col) : span_at(after(at), 0),
                             ahead);
      end_span();
    }
    Sums::save({sums, e5::kRows});
  }
  /// One strip of a block after the other.
  void multiply_strips(Place at, BlockAhead& ahead, std::int32_t* sums) {
    std::size_t panel = 0;  // and 0 again after both strips
    for (at.half = 0; at.half < 2; ++at.half) {
      Sums::clear();
      for (std::size_t col = 0; col < p.cols; col += e5::kSpanCols, panel = 1 - panel) {
        const std::size_t next_col = col + e5::kSpanCols;
        const Place next = at.half == 0 ? Place{at.row, 1, at.block} : after(at);
        take_turn<0>(tokens_at(at.block, col), p.cols - col, panel,
                     next_col < p.cols ? span_at(at, next_col) : span_at(next, 0), ahead);
        end_span();
      }
      Sums::save({sums + at.half * kStripRows, e5::kRows});
    }
  }

  void put(Place at, const std::int32_t* sums) {
    if constexpr (Box::kEveryTurn) {
      outbox.put({sums, at.row, at.block, p.token_begin, p.token_end - p.token_begin});
    } else {
      outbox.put(sums, e5::kRows, at.row, e5::kRows);
    }
  }

  void multiply() {
    decode(span_at({p.row_begin, 0, 0}, 0), 0);
    std::size_t turn = 0;
    for (std::size_t row = p.row_begin; row < p.row_end; row += e5::kRows) {
      BlockAhead ahead = ahead_of(p, row / e5::kRows, block_bytes);
      for (std::size_t block = 0; block < n_blocks; ++block, turn = (turn + 1) % Box::kBuffers) {
        std::int32_t* sums = scratch.sums[turn];
        if constexpr (kStrips == 2) {
          multiply_pair({row, 0, block}, ahead, sums);
        } else {
          multiply_strips({row, 0, block}, ahead, sums);
        }
        put({row, 0, block}, sums);
      }
    }
  }
};

}  // namespace amx
}  // namespace
}  // namespace tern::kernels
