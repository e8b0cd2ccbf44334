// Dot-product kernel for AMX-INT8: a tile instruction multiplies 16 tokens with 16 rows over 64 columns.
//
// Weights are decoded to one byte per code first, into tiles that stay in the first cache while tokens are multiplied
// with them. For many tokens, decoding and multiplying take turns: tile instructions finish late, and stores behind
// them would fill the store buffer and stop both. For few, see dot_amx_few.h.
#include "kernels/dot_amx_decode.h"
#include "kernels/dot_amx_few.h"
#include "kernels/dot_amx_operand.h"
#include "kernels/dot_amx_outbox.h"
#include "kernels/dot_amx_scaled.h"
#include "kernels/dot_amx_strips.h"
#include "kernels/dot_amx_tiles.h"
#include "kernels/ternary_kernels.h"
#include "kernels/weights_at.h"

namespace tern::kernels {
namespace {

using amx::Ahead;
using amx::ahead_of_strip;
using amx::block_at;
using amx::Decoder;
using amx::kChunkSpans;
using amx::kColsBytes;
using amx::kLineBytes;
using amx::kMaxBlockTokens;
using amx::kPanelBytes;
using amx::kSpanTiles;
using amx::kStripRows;
using amx::kTileBytes;
using amx::kTileTokens;
using amx::Operand;
using amx::Outbox;
using amx::SumsAt;
using amx::SumTiles;
using amx::tokens_at;
using amx::TokenTiles;

static_assert(127 * kMaxCols < (std::size_t{1} << 31), "a 32-bit lane would overflow: 5.3e8");

// --- work beside the tiles ----------------------------------------------------------------------------------------

struct Beside {
  Ahead ahead;
  Outbox& outbox;
  std::size_t n_tokens;  // handed over in a span
};

// --- multiplying ------------------------------------------------------------------------------------------------

constexpr std::size_t kRunRows = 2 * e5::kRows;  // handed over together

/// Memory of a thread.
struct Scratch {
  alignas(64) std::uint8_t panels[kChunkSpans * kPanelBytes];  // 30 KB
  /// 256 KB: those in the making and those to be handed over.
  alignas(64) std::int32_t sums[2][kMaxBlockTokens * kRunRows];
};

static_assert(sizeof(amx::FewScratch) <= sizeof(Scratch) && sizeof(amx::ScaledScratch) <= sizeof(Scratch));

std::size_t scratch_bytes(std::size_t /*cols*/) { return sizeof(Scratch); }

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
  const bool is_wide = Operand::n_col_tiles(product.cols) > amx::kChunkTiles;  // no such type is known
  const std::size_t step = is_wide ? amx::kFewTokens : block_tokens(product.cols * product.n_col_blocks);
  for_each_step(product, step, [&](const TernaryProduct& p) {
    const std::size_t n_tokens = p.token_end - p.token_begin;
    if (n_tokens <= kTileTokens) {
      multiply_few_scaled<1>(p, scales);
    } else if (n_tokens <= amx::kFewTokens) {
      multiply_few_scaled<2>(p, scales);
    } else {
      amx::multiply_many_scaled(p, scales);
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
