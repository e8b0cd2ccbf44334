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
  /// Those in the making and those to be handed over.
  alignas(64) std::int32_t sums[2][kFewTokens * e5::kRows];
};

constexpr std::size_t kTurns = e5::kSpanCols / kTileCols;  // of multiplying a span and decoding the next
// Both strips of a block take a turn with each span.
constexpr std::size_t kTurnFetches = e5::kSpanGroups / BlockAhead::kRuns / (e5::kRows / kStripRows);
static_assert(kTurnFetches <= kTurns);

/// A product of one or two token tiles, computed by one thread.
template <int kTokenTiles>
struct Few {
  // One token tile leaves registers for the sums of both strips of a block.
  static constexpr int kStrips = kTokenTiles == 1 ? 2 : 1;
  static constexpr int kRowTiles = kStrips * static_cast<int>(kStripTiles);
  using Sums = SumTiles<kTokenTiles, kRowTiles>;

  const TernaryProduct& p;
  FewScratch& scratch;
  Outbox outbox{p};
  std::size_t block_bytes = e5::block_bytes(p.cols);
  std::size_t tile_bytes = Operand::tile_bytes(p.cols);
  const std::uint8_t* tokens = p.operand + p.token_begin / kTileTokens * tile_bytes;
  // Those of a product of few columns are handed over faster.
  std::size_t turn_tokens = (kTokenTiles * kTileTokens + e5::n_spans(p.cols) - 1) / e5::n_spans(p.cols);

  [[nodiscard]] const std::uint8_t* block_at(std::size_t row) const {
    return weights_at(p, row / e5::kRows, block_bytes);
  }
  [[nodiscard]] StripSpan span_at(std::size_t row, std::size_t half, std::size_t col) const {
    const std::size_t n_steps = row < p.row_end ? e5::span_groups(p.cols - col) / e5::kGroupsTogether : 0;
    return {block_at(row) + e5::block_bytes(col), half, n_steps};
  }

  void decode(const StripSpan& span, std::size_t panel) {
    decode_steps(Decoder(), span, 0, span.n_steps, scratch.panels[panel]);
  }

  /// Multiplies a panel while the next one is decoded into the other. col: of the span
  template <int kFirstRow>
  void take_turn(std::size_t col, std::size_t panel, const StripSpan& next, BlockAhead& ahead) {
    const Decoder decoder;
    const std::size_t n_tiles = Operand::span_tiles(p.cols - col);
    TokenTiles x = {tokens + (1 + col / kTileCols) * kTileBytes, tile_bytes};
#pragma GCC unroll 5
    for (std::size_t i = 0; i < kTurns; ++i, x.first += kTileBytes) {
      const std::size_t step = next.n_steps * i / kTurns;
      const std::size_t end = next.n_steps * (i + 1) / kTurns;
      decode_steps(decoder, next, step, end, scratch.panels[1 - panel]);
      if (i < n_tiles) Sums::template add<kFirstRow>(x, scratch.panels[panel] + i * kColsBytes);
      if (i < kTurnFetches) ahead.fetch();
    }
  }

  /// Both strips of a block together, span by span.
  void multiply_pair(std::size_t row, BlockAhead& ahead, std::int32_t* sums) {
    Sums::load(Operand::first_sums(tokens, p.cols));
    for (std::size_t col = 0; col < p.cols; col += e5::kSpanCols) {
      const std::size_t next_col = col + e5::kSpanCols;
      take_turn<0>(col, 0, span_at(row, 1, col), ahead);
      take_turn<kStripTiles>(col, 1, next_col < p.cols ? span_at(row, 0, next_col) : span_at(row + e5::kRows, 0, 0),
                             ahead);
      outbox.hand_over(turn_tokens);
    }
    Sums::save(sums, e5::kRows);
  }
  /// One strip of a block after the other.
  void multiply_strips(std::size_t row, BlockAhead& ahead, std::int32_t* sums) {
    std::size_t panel = 0;  // and 0 again after both strips
    for (std::size_t half = 0; half < 2; ++half) {
      Sums::load(Operand::first_sums(tokens, p.cols));
      for (std::size_t col = 0; col < p.cols; col += e5::kSpanCols, panel = 1 - panel) {
        const std::size_t next_col = col + e5::kSpanCols;
        const StripSpan after = half == 0 ? span_at(row, 1, 0) : span_at(row + e5::kRows, 0, 0);
        take_turn<0>(col, panel, next_col < p.cols ? span_at(row, half, next_col) : after, ahead);
        outbox.hand_over(turn_tokens);
      }
      Sums::save(sums + half * kStripRows, e5::kRows);
    }
  }

  void multiply() {
    decode(span_at(p.row_begin, 0, 0), 0);
    for (std::size_t row = p.row_begin; row < p.row_end; row += e5::kRows) {
      BlockAhead ahead = ahead_of(p, row / e5::kRows, block_bytes);
      std::int32_t* sums = scratch.sums[row / e5::kRows % 2];
      if constexpr (kStrips == 2) {
        multiply_pair(row, ahead, sums);
      } else {
        multiply_strips(row, ahead, sums);
      }
      outbox.put(sums, e5::kRows, row, e5::kRows);
    }
  }
};

}  // namespace amx
}  // namespace
}  // namespace tern::kernels
