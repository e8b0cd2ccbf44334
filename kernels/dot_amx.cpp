// Dot-product kernel for AMX-INT8: a tile instruction multiplies 16 tokens with 16 rows over 64 columns.
//
// Weights are decoded to one byte per code first, into tiles that stay in the first cache while tokens are multiplied
// with them. For many tokens, decoding and multiplying take turns: tile instructions finish late, and stores behind
// them would fill the store buffer and stop both. For few, see dot_amx_few.h.
#include "kernels/dot_amx_decode.h"
#include "kernels/dot_amx_few.h"
#include "kernels/dot_amx_operand.h"
#include "kernels/dot_amx_outbox.h"
#include "kernels/dot_amx_tiles.h"
#include "kernels/ternary_kernels.h"
#include "kernels/weights_at.h"

namespace tern::kernels {
namespace {

using amx::Decoder;
using amx::kColsBytes;
using amx::kLineBytes;
using amx::kPanelBytes;
using amx::kStripRows;
using amx::kTileBytes;
using amx::kTileTokens;
using amx::Operand;
using amx::Outbox;
using amx::SumsAt;
using amx::SumTiles;
using amx::TokenTiles;

static_assert(127 * kMaxCols < (std::size_t{1} << 31), "a 32-bit lane would overflow: 5.3e8");

// --- work beside the tiles ----------------------------------------------------------------------------------------

/// Weights that come next, fetched into the second cache a few lines at a time.
struct Ahead {
  const std::uint8_t* next;
  std::size_t n_lines;  // at a time

  void fetch() {
    for (std::size_t i = 0; i < n_lines; ++i, next += kLineBytes) _mm_prefetch(next, _MM_HINT_T1);
  }
};

struct Beside {
  Ahead ahead;
  Outbox& outbox;
  std::size_t n_tokens;  // handed over in a span
};

// --- multiplying ------------------------------------------------------------------------------------------------

constexpr std::size_t kSpanTiles = e5::kSpanCols / amx::kTileCols;
constexpr std::size_t kChunkSpans = 3;  // decoded together; with the activations they meet, they fit the first cache
constexpr std::size_t kRunRows = 2 * e5::kRows;  // handed over together
constexpr std::size_t kMaxBlockTokens = 256;

/// Memory of a thread.
struct Scratch {
  alignas(64) std::uint8_t panels[kChunkSpans * kPanelBytes];  // 30 KB
  /// 256 KB: those in the making and those to be handed over.
  alignas(64) std::int32_t sums[2][kMaxBlockTokens * kRunRows];
};

static_assert(sizeof(amx::FewScratch) <= sizeof(Scratch));

std::size_t scratch_bytes(std::size_t /*cols*/) { return sizeof(Scratch); }

TokenTiles tokens_at(const TernaryProduct& p, std::size_t token) {
  const std::size_t stride = Operand::tile_bytes(p.cols);
  return {p.operand + token / kTileTokens * stride, stride};
}

const std::uint8_t* block_at(const TernaryProduct& p, std::size_t row) {
  return weights_at(p, row / e5::kRows, e5::block_bytes(p.cols));
}

/// While a strip is multiplied, half of a block is fetched: the one that comes half a block later.
Ahead ahead_of_strip(const TernaryProduct& p, std::size_t row, std::size_t n_calls, std::size_t n_col_blocks = 1) {
  const std::size_t half_bytes = n_col_blocks * e5::block_bytes(p.cols) / 2;
  const std::size_t half = row % e5::kRows / kStripRows;
  return {block_at(p, row) + (half + 1) * half_bytes, (half_bytes / kLineBytes + n_calls - 1) / n_calls};
}

/// Adds the products of a span, which has `n` tiles of columns.
template <int kTokenTiles>
void add_span(TokenTiles x, const std::uint8_t* panel, std::size_t n, Beside& beside) {
  for (std::size_t i = 0; i < n; ++i) {
    SumTiles<kTokenTiles, 2>::add({x.first + i * kTileBytes, x.stride}, panel + i * kColsBytes);
    beside.ahead.fetch();
  }
  beside.outbox.hand_over(beside.n_tokens);
}

/// Spans that are decoded at once.
struct Chunk {
  std::size_t first, n;
  std::size_t cols;  // from the first on, to the end of the matrix
};

/// Decodes a chunk of the strip at `row`.
void decode_chunk(const TernaryProduct& p, std::size_t row, Chunk chunk, std::uint8_t* panel) {
  const Decoder decoder;
  for (std::size_t s = chunk.first; s < chunk.first + chunk.n; ++s, panel += kPanelBytes) {
    const std::size_t col = s * e5::kSpanCols;
    const std::size_t n_steps = e5::span_groups(p.cols - col) / e5::kGroupsTogether;
    decode_steps(decoder, {block_at(p, row) + e5::block_bytes(col), row % e5::kRows / kStripRows, n_steps}, 0, n_steps,
                 panel);
  }
}

template <int kTokenTiles>
void add_chunk(TokenTiles tokens, Chunk chunk, const std::uint8_t* panel, Beside& beside) {
  const std::uint8_t* x = tokens.first + chunk.first * kSpanTiles * kTileBytes;
  for (std::size_t s = 0; s < chunk.n; ++s, panel += kPanelBytes, x += kSpanTiles * kTileBytes) {
    const std::size_t n_tiles = Operand::span_tiles(chunk.cols - s * e5::kSpanCols);
    add_span<kTokenTiles>({x, tokens.stride}, panel, n_tiles, beside);
  }
}

/// Sums begin with the first chunk, and go on with the others.
template <typename Sums>
void start_sums(Chunk chunk, SumsAt sums) {
  if (chunk.first == 0) {
    Sums::clear();
  } else {
    Sums::load(sums);
  }
}

/// Adds a chunk to the sums of all tokens of a product. sums: (n_tokens, kRunRows), of which 32 columns are used.
void add_chunk_to_all(const TernaryProduct& p, Chunk chunk, const std::uint8_t* panel, std::int32_t* sums,
                      Beside& beside) {
  constexpr std::size_t kPair = 2 * kTileTokens;
  using Pair = SumTiles<2, 2>;
  const std::size_t n_tokens = p.token_end - p.token_begin;
  const std::size_t paired = (n_tokens + kTileTokens - 1) / kPair * kPair;  // tokens in pairs of token tiles
  const auto sums_at = [&](std::size_t t) { return SumsAt{sums + t * kRunRows, kRunRows}; };
  if (paired > 0) start_sums<Pair>(chunk, sums_at(0));
  for (std::size_t t = 0; t < paired; t += kPair) {
    add_chunk<2>(tokens_at(p, p.token_begin + t), chunk, panel, beside);
    if (t + kPair >= paired) {
      Pair::save(sums_at(t));
    } else if (chunk.first == 0) {
      Pair::save_and_clear(sums_at(t));
    } else {
      Pair::save_and_load(sums_at(t), sums_at(t + kPair));
    }
  }
  if (paired < n_tokens) {
    using Single = SumTiles<1, 2>;
    start_sums<Single>(chunk, sums_at(paired));
    add_chunk<1>(tokens_at(p, p.token_begin + paired), chunk, panel, beside);
    Single::save(sums_at(paired));
  }
}

/// One strip of 32 rows with the tokens of a product.
void multiply_strip(const TernaryProduct& p, std::size_t row, std::uint8_t* panels, std::int32_t* sums,
                    Outbox& outbox) {
  constexpr std::size_t kPair = 2 * kTileTokens;
  constexpr std::size_t kStrips = kRunRows / kStripRows;
  const std::size_t n_spans = e5::n_spans(p.cols);
  const std::size_t n_pairs = (p.token_end - p.token_begin + kPair - 1) / kPair;
  Beside beside = {ahead_of_strip(p, row, n_pairs * Operand::n_col_tiles(p.cols)), outbox,
                   (kPair / kStrips + n_spans - 1) / n_spans};
  for (std::size_t span = 0; span < n_spans; span += kChunkSpans) {
    const Chunk chunk = {span, n_spans - span < kChunkSpans ? n_spans - span : kChunkSpans,
                         p.cols - span * e5::kSpanCols};
    decode_chunk(p, row, chunk, panels);
    add_chunk_to_all(p, chunk, panels, sums, beside);
  }
}

/// Up to kMaxBlockTokens tokens.
void multiply_many(const TernaryProduct& p, Scratch& scratch) {
  Outbox outbox(p);
  for (std::size_t begin = p.row_begin; begin < p.row_end; begin += kRunRows) {
    std::int32_t* sums = scratch.sums[begin / kRunRows % 2];
    const std::size_t end = p.row_end - begin < kRunRows ? p.row_end : begin + kRunRows;
    for (std::size_t row = begin; row < end; row += kStripRows) {
      multiply_strip(p, row, scratch.panels, sums + (row - begin), outbox);
    }
    outbox.put(sums, kRunRows, begin, kRunRows);
  }
}

// --- scales per block of columns ----------------------------------------------------------------------------------

constexpr std::size_t kChunkTiles = kChunkSpans * kSpanTiles;  // of columns, decoded together: of several blocks
constexpr std::size_t kChunkBlocks = 4;                        // whose sums are added to totals together
constexpr std::size_t kPairTokens = 2 * kTileTokens;

struct ScaledScratch {
  alignas(64) std::uint8_t panels[(kChunkTiles + 1) * kColsBytes];  // the last for lines beyond the columns
  alignas(64) std::int32_t sums[kChunkBlocks][kPairTokens * kStripRows];
  alignas(64) float totals[kMaxBlockTokens * kStripRows];
};
static_assert(sizeof(ScaledScratch) <= sizeof(Scratch));

/// Blocks of columns that are decoded together.
struct Blocks {
  std::size_t first, n;
};

/// Decodes some blocks of columns of the strip at `row`. Each begins where lines of the one before may have been
/// written beyond its columns.
void decode_blocks(const TernaryProduct& p, std::size_t row, Blocks blocks, std::uint8_t* panel) {
  const Decoder decoder;
  const std::size_t block_bytes = e5::block_bytes(p.cols);
  const std::uint8_t* weights = block_at(p, row) + blocks.first * block_bytes;
  for (std::size_t b = 0; b < blocks.n; ++b, weights += block_bytes) {
    for (std::size_t col = 0; col < p.cols; col += e5::kSpanCols) {
      const std::size_t n_steps = e5::span_groups(p.cols - col) / e5::kGroupsTogether;
      decode_steps(decoder, {weights + e5::block_bytes(col), row % e5::kRows / kStripRows, n_steps}, 0, n_steps,
                   panel + col / amx::kTileCols * kColsBytes);
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
void add_blocks(const ScaledPart& part, Blocks blocks, ScaledScratch& scratch, ScaledAhead& ahead) {
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

void give_totals(const ScaledPart& part) {
  const std::size_t n_rows = part.p.row_end - part.row < kStripRows ? part.p.row_end - part.row : kStripRows;
  float* y = part.scales.y + part.token * part.scales.stride + part.row;
  for (std::size_t t = 0; t < part.n_tokens; ++t, y += part.scales.stride) {
    copy_rows<kStripRows>(part.totals + t * kStripRows, n_rows, y);
  }
}

/// Adds some blocks of columns to the totals of all tokens; the last of them make results.
void add_blocks_to_all(const TernaryProduct& p, const BlockScales& scales, std::size_t row, Blocks blocks,
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
void multiply_many_scaled(const TernaryProduct& p, const BlockScales& scales) {
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

/// Tokens whose activations fill half of a second cache of 2 MB.
std::size_t block_tokens(std::size_t cols) {
  constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
  constexpr std::size_t kStep = 2 * kTileTokens;
  const std::size_t tokens = kBlockBytes / Operand::tile_bytes(cols) * kTileTokens / kStep * kStep;
  return tokens < kStep ? kStep : tokens < kMaxBlockTokens ? tokens : kMaxBlockTokens;
}

Grain grain(std::size_t n_tokens, std::size_t cols) {
  const std::size_t block = block_tokens(cols);
  return {4 * e5::kRows, n_tokens < block ? n_tokens : block, kRunRows};
}

/// Registers 0 to 4, of sums and activations, hold as many lines as there are tokens: fewer take less time.
amx::TileLines lines_for(std::size_t n_tokens) {
  const auto n = static_cast<std::uint8_t>(n_tokens < kTileTokens ? n_tokens : kTileTokens);
  constexpr std::uint8_t kAll = amx::kTileRows;
  return {{n, n, n, n, n, kAll, kAll, kAll}};
}

/// f(p) for products with at most `step` tokens.
template <typename F>
void for_each_step(const TernaryProduct& product, std::size_t step, const F& f) {
  for (std::size_t begin = product.token_begin; begin < product.token_end; begin += step) {
    TernaryProduct p = product;
    p.token_begin = begin;
    p.token_end = product.token_end - begin < step ? product.token_end : begin + step;
    const amx::TileRegisters registers(lines_for(p.token_end - begin));
    f(p);
  }
}

template <int kTokenTiles>
void multiply_few(const TernaryProduct& p) {
  Outbox outbox(p);
  amx::Few<kTokenTiles, Outbox>{p, *reinterpret_cast<amx::FewScratch*>(p.scratch), outbox, 1, 0}.multiply();
}

void multiply(const TernaryProduct& product) {
  for_each_step(product, block_tokens(product.cols), [](const TernaryProduct& p) {
    const std::size_t n_tokens = p.token_end - p.token_begin;
    if (n_tokens <= kTileTokens) {
      multiply_few<1>(p);
    } else if (n_tokens <= amx::kFewTokens) {
      multiply_few<2>(p);
    } else {
      multiply_many(p, *reinterpret_cast<Scratch*>(p.scratch));
    }
  });
}

template <int kTokenTiles>
void multiply_few_scaled(const TernaryProduct& p, const BlockScales& scales) {
  auto& scratch = *reinterpret_cast<amx::FewScratch*>(p.scratch);
  using Box = amx::ScaledOutbox<e5::kRows>;
  Box outbox(p, scales, scratch.totals);
  amx::Few<kTokenTiles, Box>{p, scratch, outbox, p.n_col_blocks, scales.operand_bytes}.multiply();
}

void multiply_scaled(const TernaryProduct& product, const BlockScales& scales) {
  const bool is_wide = Operand::n_col_tiles(product.cols) > kChunkTiles;  // no such type is known
  const std::size_t step = is_wide ? amx::kFewTokens : block_tokens(product.cols * product.n_col_blocks);
  for_each_step(product, step, [&](const TernaryProduct& p) {
    const std::size_t n_tokens = p.token_end - p.token_begin;
    if (n_tokens <= kTileTokens) {
      multiply_few_scaled<1>(p, scales);
    } else if (n_tokens <= amx::kFewTokens) {
      multiply_few_scaled<2>(p, scales);
    } else {
      multiply_many_scaled(p, scales);
    }
  });
}

}  // namespace

const TernaryKernel kDotAmx = {.name = "dot-amx",
                               .family = Family::kDot,
                               .isa = Isa::kAmx,
                               .layout = &kE5,
                               .decode = {},
                               .prompt = {.operand_bytes = Operand::bytes,
                                          .prepare = Operand::prepare,
                                          .scratch_bytes = scratch_bytes,
                                          .grain = grain,
                                          .multiply = multiply,
                                          .multiply_scaled = multiply_scaled},
                               .min_prompt_tokens = 4};

}  // namespace tern::kernels
