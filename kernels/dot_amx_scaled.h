#pragma once

// Products of many tokens with AMX where blocks of columns have their own scales. Included by that kernel; all names
// are local to the including file (see kernels.h).
//
// A strip of 32 rows goes through some blocks of columns with two token tiles; then their sums, which are in the first
// cache, are scaled and added to totals. Beside the tiles that would take longer: memory written by a tile register can
// not be read before it has reached the cache.

#include <cstring>

#include "kernels/dot_amx_strips.h"
#include "kernels/scaled_sums.h"

namespace tern::kernels {
namespace {
namespace amx {

constexpr std::size_t kChunkTiles = kChunkSpans * kSpanTiles;  // of columns, decoded together: of several blocks
constexpr std::size_t kChunkBlocks = 4;                        // whose sums are added to totals together
constexpr std::size_t kPairTokens = 2 * kTileTokens;

struct ScaledScratch {
  alignas(64) std::uint8_t panels[(kChunkTiles + 1) * kColsBytes];  // the last for lines beyond the columns
  alignas(64) std::int32_t sums[kChunkBlocks][kPairTokens * kStripRows];
  alignas(64) float totals[kMaxBlockTokens * kStripRows];
};

/// Blocks of columns that are decoded together.
struct Blocks {
  std::size_t first, n;
};

/// Decodes some blocks of columns of the strip at `row`. Each begins where lines of the one before may have been
/// written beyond its columns.
inline void decode_blocks(const TernaryProduct& p, std::size_t row, Blocks blocks, std::uint8_t* panel) {
  const Decoder decoder;
  const std::size_t block_bytes = e5::block_bytes(p.cols);
  const std::uint8_t* weights = block_at(p, row) + blocks.first * block_bytes;
  for (std::size_t b = 0; b < blocks.n; ++b, weights += block_bytes) {
    for (std::size_t col = 0; col < p.cols; col += e5::kSpanCols) {
      const std::size_t n_steps = e5::span_groups(p.cols - col) / e5::kGroupsTogether;
      decode_steps(decoder, {weights + e5::block_bytes(col), row % e5::kRows / kStripRows, n_steps}, 0, n_steps,
                   panel + col / kTileCols * kColsBytes);
    }
    panel += Operand::n_col_tiles(p.cols) * kColsBytes;
  }
}

/// What is fetched while tiles are multiplied: weights that come next, and where the results of these tokens will go,
/// which is in no cache.
struct ScaledAhead {
  Ahead& weights;
  float* y;
  std::size_t stride;
  std::size_t n_tokens;  // at a time; 0 while there are no results

  void fetch() {
    weights.fetch();
    for (std::size_t t = 0; t < n_tokens; ++t, y += stride) {
      __builtin_prefetch(y, 1);
      __builtin_prefetch(y + kStripRows / 2, 1);
    }
  }
};

/// The sums of one block of columns with one or two token tiles. sums: (n_tokens, kStripRows)
template <int kTokenTiles>
void sum_block(TokenTiles x, const std::uint8_t* panel, std::size_t n_tiles, ScaledAhead& ahead, std::int32_t* sums) {
  using Sums = SumTiles<kTokenTiles, 2>;
  Sums::clear();
  for (std::size_t i = 0; i < n_tiles; ++i) {
    Sums::add({x.first + i * kTileBytes, x.stride}, panel + i * kColsBytes);
    ahead.fetch();
  }
  Sums::save({sums, kStripRows});
}

/// Rows of a strip and up to kPairTokens tokens.
struct ScaledPart {
  const TernaryProduct& p;
  const BlockScales& scales;
  std::size_t row;
  std::size_t token, n_tokens;
  float* totals;  // (n_tokens, kStripRows)
};

/// Adds the sums of some blocks of columns, (blocks.n, n_tokens, kStripRows), to totals.
template <std::size_t kBlocks>
void add_to_totals(const ScaledPart& part, Blocks blocks, const std::int32_t (*sums)[kPairTokens * kStripRows]) {
  constexpr std::size_t kLanes = kStripRows / FloatLanes::kSize;
  FloatLanes scales[kBlocks][kLanes];
  float steps[kBlocks][kPairTokens];
  for (std::size_t b = 0; b < kBlocks; ++b) {
    std::uint16_t padded[kStripRows];
    const std::uint16_t* halves = row_scales_at(part.scales, blocks.first + b, part.row, padded);
    for (std::size_t i = 0; i < kLanes; ++i) scales[b][i] = FloatLanes::of_halves(halves + i * FloatLanes::kSize);
    const double* from = part.scales.steps + (blocks.first + b) * part.p.n_tokens + part.token;
    for (std::size_t t = 0; t < part.n_tokens; ++t) steps[b][t] = static_cast<float>(from[t]);
  }
  for (std::size_t t = 0; t < part.n_tokens; ++t) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::size_t at = t * kStripRows + i * FloatLanes::kSize;
      FloatLanes total = blocks.first == 0 ? FloatLanes::all(kNoTotal) : FloatLanes::load(part.totals + at);
#pragma GCC unroll 4
      for (std::size_t b = 0; b < kBlocks; ++b) {
        total = total + FloatLanes::of_ints(sums[b] + at) * (FloatLanes::all(steps[b][t]) * scales[b][i]);
      }
      total.store(part.totals + at);
    }
  }
}

/// Adds some blocks of columns, whose panels are in scratch memory, to the totals of a part.
inline void add_blocks(const ScaledPart& part, Blocks blocks, ScaledScratch& scratch, ScaledAhead& ahead) {
  const std::size_t n_tiles = Operand::n_col_tiles(part.p.cols);
  const auto sum = part.n_tokens > kTileTokens ? sum_block<2> : sum_block<1>;
  TokenTiles x = tokens_at(part.p, part.token);
  x.first += blocks.first * part.scales.operand_bytes;
  for (std::size_t b = 0; b < blocks.n; ++b, x.first += part.scales.operand_bytes) {
    sum(x, scratch.panels + b * n_tiles * kColsBytes, n_tiles, ahead, scratch.sums[b]);
  }
  constexpr decltype(&add_to_totals<1>) kAdd[] = {add_to_totals<1>, add_to_totals<2>, add_to_totals<3>,
                                                  add_to_totals<4>};
  static_assert(sizeof kAdd / sizeof *kAdd == kChunkBlocks);
  kAdd[blocks.n - 1](part, blocks, scratch.sums);
}

/// Copies the totals of a token to its results, which are in no cache. As a string instruction: measured to be 4 % of
/// a product faster than stores of registers, which wait for the lines that they write.
inline void copy_totals(const float* totals, std::size_t n_rows, float* y) {
  if (n_rows == kStripRows) {
    std::size_t n = kStripRows * sizeof *y / sizeof(std::uint64_t);
    asm volatile("rep movsq" : "+S"(totals), "+D"(y), "+c"(n) : : "memory");
  } else {
    std::memcpy(y, totals, n_rows * sizeof *y);
  }
}

void give_totals(const ScaledPart& part) {
  const std::size_t n_rows = part.p.row_end - part.row < kStripRows ? part.p.row_end - part.row : kStripRows;
  float* y = part.scales.y + part.token * part.scales.stride + part.row;
  for (std::size_t t = 0; t < part.n_tokens; ++t, y += part.scales.stride) {
    copy_totals(part.totals + t * kStripRows, n_rows, y);
  }
}

/// Adds some blocks of columns to the totals of all tokens; the last of them make results.
inline void add_blocks_to_all(const TernaryProduct& p, const BlockScales& scales, std::size_t row, Blocks blocks,
                              ScaledScratch& scratch, Ahead& ahead) {
  const bool is_last = blocks.first + blocks.n == p.n_col_blocks;
  const std::size_t n_calls = blocks.n * Operand::n_col_tiles(p.cols);
  for (std::size_t t = p.token_begin; t < p.token_end; t += kPairTokens) {
    const std::size_t n_tokens = p.token_end - t < kPairTokens ? p.token_end - t : kPairTokens;
    const ScaledPart part = {p, scales, row, t, n_tokens, scratch.totals + (t - p.token_begin) * kStripRows};
    ScaledAhead both = {ahead, scales.y + t * scales.stride + row, scales.stride,
                        is_last ? (n_tokens + n_calls - 1) / n_calls : 0};
    add_blocks(part, blocks, scratch, both);
    if (is_last) give_totals(part);
  }
}

/// Up to kMaxBlockTokens tokens.
inline void multiply_many_scaled(const TernaryProduct& p, const BlockScales& scales) {
  auto& scratch = *reinterpret_cast<ScaledScratch*>(p.scratch);
  const std::size_t n_tiles = Operand::n_col_tiles(p.cols);
  const std::size_t n_pairs = (p.token_end - p.token_begin + kPairTokens - 1) / kPairTokens;
  const std::size_t most = kChunkTiles / n_tiles < kChunkBlocks ? kChunkTiles / n_tiles : kChunkBlocks;
  for (std::size_t row = p.row_begin; row < p.row_end; row += kStripRows) {
    Ahead ahead = ahead_of_strip(p, row, n_pairs * n_tiles * p.n_col_blocks, p.n_col_blocks);
    for (std::size_t b = 0; b < p.n_col_blocks; b += most) {
      const Blocks blocks = {b, p.n_col_blocks - b < most ? p.n_col_blocks - b : most};
      decode_blocks(p, row, blocks, scratch.panels);
      add_blocks_to_all(p, scales, row, blocks, scratch, ahead);
    }
  }
}

}  // namespace amx
}  // namespace
}  // namespace tern::kernels
