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
using amx::SumTiles;
using amx::TokenTiles;

// Sums begin at minus the sum of x, to which codes up to 2 times x are added.
static_assert((2 + 1) * 127 * kMaxCols < (std::size_t{1} << 31), "a 32-bit lane would overflow: 1.6e9");

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
Ahead ahead_of_strip(const TernaryProduct& p, std::size_t row, std::size_t n_calls) {
  const std::size_t half_bytes = e5::block_bytes(p.cols) / 2;
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
  const std::uint8_t* x = tokens.first + (1 + chunk.first * kSpanTiles) * kTileBytes;
  for (std::size_t s = 0; s < chunk.n; ++s, panel += kPanelBytes, x += kSpanTiles * kTileBytes) {
    const std::size_t n_tiles = Operand::span_tiles(chunk.cols - s * e5::kSpanCols);
    add_span<kTokenTiles>({x, tokens.stride}, panel, n_tiles, beside);
  }
}

/// Adds a chunk to the sums of all tokens of a product. sums: (n_tokens, kRunRows), of which 32 columns are used.
void add_chunk_to_all(const TernaryProduct& p, Chunk chunk, const std::uint8_t* panel, std::int32_t* sums,
                      Beside& beside) {
  constexpr std::size_t kPair = 2 * kTileTokens;
  using Pair = SumTiles<2, 2>;
  const std::size_t n_tokens = p.token_end - p.token_begin;
  const std::size_t paired = (n_tokens + kTileTokens - 1) / kPair * kPair;  // tokens in pairs of token tiles
  const auto sums_before = [&](std::size_t t) {
    return chunk.first == 0 ? Operand::first_sums(tokens_at(p, p.token_begin + t).first, p.cols)
                            : Pair::at(sums + t * kRunRows, kRunRows);
  };
  if (paired > 0) Pair::load(sums_before(0));
  for (std::size_t t = 0; t < paired; t += kPair) {
    add_chunk<2>(tokens_at(p, p.token_begin + t), chunk, panel, beside);
    if (t + kPair < paired) {
      Pair::exchange(sums + t * kRunRows, kRunRows, sums_before(t + kPair));
    } else {
      Pair::save(sums + t * kRunRows, kRunRows);
    }
  }
  if (paired < n_tokens) {
    using Single = SumTiles<1, 2>;
    Single::load(sums_before(paired));
    add_chunk<1>(tokens_at(p, p.token_begin + paired), chunk, panel, beside);
    Single::save(sums + paired * kRunRows, kRunRows);
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

/// Registers 0 to 4, of sums and activations, hold as many lines as there are tokens: fewer take less time.
amx::TileLines lines_for(std::size_t n_tokens) {
  const auto n = static_cast<std::uint8_t>(n_tokens < kTileTokens ? n_tokens : kTileTokens);
  constexpr std::uint8_t kAll = amx::kTileRows;
  return {{n, n, n, n, n, kAll, kAll, kAll}};
}

Grain grain(std::size_t n_tokens, std::size_t cols) {
  const std::size_t block = block_tokens(cols);
  return {4 * e5::kRows, n_tokens < block ? n_tokens : block, kRunRows};
}

void multiply(const TernaryProduct& product) {
  const std::size_t step = block_tokens(product.cols);
  for (std::size_t begin = product.token_begin; begin < product.token_end; begin += step) {
    TernaryProduct p = product;
    p.token_begin = begin;
    p.token_end = product.token_end - begin < step ? product.token_end : begin + step;
    const std::size_t n_tokens = p.token_end - begin;
    const amx::TileRegisters registers(lines_for(n_tokens));
    if (n_tokens <= kTileTokens) {
      amx::Few<1>{p, *reinterpret_cast<amx::FewScratch*>(p.scratch)}.multiply();
    } else if (n_tokens <= amx::kFewTokens) {
      amx::Few<2>{p, *reinterpret_cast<amx::FewScratch*>(p.scratch)}.multiply();
    } else {
      multiply_many(p, *reinterpret_cast<Scratch*>(p.scratch));
    }
  }
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
                                          .multiply = multiply},
                               .min_prompt_tokens = 4};

}  // namespace tern::kernels
