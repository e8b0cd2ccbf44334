// Dot-product kernel for AMX-INT8: a tile instruction multiplies 16 tokens with 16 rows over 64 columns.
//
// Weights are decoded to one byte per code first, into tiles that stay in the first cache while tokens are multiplied
// with them. Decoding and multiplying take turns: tile instructions finish late, and stores behind them would fill the
// store buffer and stop both.
#include <immintrin.h>

#include "kernels/dot_amx_operand.h"
#include "kernels/dot_amx_tiles.h"
#include "kernels/layout_e5.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

using amx::kLineBytes;
using amx::kTileBytes;
using amx::kTileRows;
using amx::kTileTokens;
using amx::Operand;
using amx::SumTiles;
using amx::TokenTiles;

// Sums begin at minus the sum of x, to which codes up to 2 times x are added.
static_assert((2 + 1) * 127 * kMaxCols < (std::size_t{1} << 31), "a 32-bit lane would overflow: 1.6e9");

constexpr std::size_t kStripRows = 2 * kTileRows;                    // half of a block of the layout
constexpr std::size_t kQuadBytes = e5::kGroupsTogether * e5::kRows;  // four groups of a block

// Where a block is decoded once only, a span is fetched into the second cache this far ahead: one half while the span
// here is decoded, the other while it is multiplied, so that memory is never idle.
constexpr std::size_t kAheadBytes = 16384;
constexpr std::size_t kQuadLines = 2;  // while four groups are decoded
constexpr std::size_t kHalfLines = e5::kSpanGroups / e5::kGroupsTogether * kQuadLines;
constexpr std::size_t kDigitLines = (kHalfLines + e5::kGroupCols - 1) / e5::kGroupCols;

// --- decoding ---------------------------------------------------------------------------------------------------

constexpr e5::Tables plus(e5::Tables tables, unsigned constant) {
  for (std::uint8_t& a : tables.a) a = static_cast<std::uint8_t>(a + constant);
  return tables;
}
// Codes 0, 1, 2 of digits 1-4 in two bits each, and that of digit 0, for which the table of the whole byte is zero.
constexpr e5::Tables kFieldTables = plus(e5::make_tables(0, 1, 4, 16, 64), 1 + 4 + 16 + 64);
constexpr e5::Tables kFirstTables = plus(e5::make_tables(1, 0, 0, 0, 0), 1);

/// What turns a vector of bytes of the layout into five vectors of codes.
class Decoder {
 public:
  /// Line of digit j goes to out + j * stride.
  void decode(__m512i bytes, std::uint8_t* out, std::size_t stride) const {
    const __m512i high = _mm512_srli_epi16(bytes, 2);  // look-ups ignore the two bits of the neighbour
    const __m512i fields =
        _mm512_add_epi8(_mm512_permutexvar_epi8(high, fields_a_), _mm512_permutexvar_epi8(bytes, fields_b_));
    _mm512_store_si512(out, _mm512_permutexvar_epi8(high, first_));
    _mm512_store_si512(out + stride, _mm512_and_si512(fields, _mm512_set1_epi8(3)));
    _mm512_store_si512(out + 2 * stride, pick<2>(fields));
    _mm512_store_si512(out + 3 * stride, pick<4>(fields));
    _mm512_store_si512(out + 4 * stride, pick<6>(fields));
  }

 private:
  /// Bits kShift and kShift + 1 of every byte. A matrix of bits does it in one instruction: its byte 7 picks bit 0 of
  /// the result, its byte 6 bit 1.
  template <unsigned kShift>
  static __m512i pick(__m512i v) {
    constexpr std::uint64_t kMatrix = std::uint64_t{1} << (56 + kShift) | std::uint64_t{2} << (48 + kShift);
    return _mm512_gf2p8affine_epi64_epi8(v, _mm512_set1_epi64(static_cast<long long>(kMatrix)), 0);
  }

  __m512i fields_a_ = _mm512_loadu_si512(kFieldTables.a);
  __m512i fields_b_ = _mm512_loadu_si512(kFieldTables.b);
  __m512i first_ = _mm512_loadu_si512(kFirstTables.a);
};

/// Decodes a span of `n_groups` groups for kRowTiles x 16 rows: all of a block, or its half `half`.
///
/// ahead: what to fetch meanwhile, for a whole block; tiles: (5 digits, kRowTiles) tiles. Lines beyond the groups are
/// left as they are: they meet zeros.
template <int kRowTiles>
void decode_span(const std::uint8_t* weights, const std::uint8_t* ahead, std::size_t half, std::size_t n_groups,
                 std::uint8_t* tiles) {
  constexpr std::size_t kStride = kRowTiles * kTileBytes;  // from digit to digit
  const Decoder decoder;
  for (std::size_t g = 0; g < n_groups; g += e5::kGroupsTogether, weights += kQuadBytes, tiles += kLineBytes) {
    if constexpr (kRowTiles == 4) {
      for (std::size_t i = 0; i < kQuadLines; ++i, ahead += kLineBytes) _mm_prefetch(ahead, _MM_HINT_T1);
    }
    __m512i v[e5::kGroupsTogether];
    for (std::size_t i = 0; i < e5::kGroupsTogether; ++i) v[i] = _mm512_load_si512(weights + i * e5::kRows);
    if (kRowTiles == 4 || half == 0) {
      const __m512i low01 = _mm512_unpacklo_epi8(v[0], v[1]);
      const __m512i low23 = _mm512_unpacklo_epi8(v[2], v[3]);
      decoder.decode(_mm512_unpacklo_epi16(low01, low23), tiles, kStride);
      decoder.decode(_mm512_unpackhi_epi16(low01, low23), tiles + kTileBytes, kStride);
    }
    if (kRowTiles == 4 || half == 1) {
      std::uint8_t* out = tiles + (kRowTiles - 2) * kTileBytes;
      const __m512i high01 = _mm512_unpackhi_epi8(v[0], v[1]);
      const __m512i high23 = _mm512_unpackhi_epi8(v[2], v[3]);
      decoder.decode(_mm512_unpacklo_epi16(high01, high23), out, kStride);
      decoder.decode(_mm512_unpackhi_epi16(high01, high23), out + kTileBytes, kStride);
    }
  }
}

// --- work beside the tiles ----------------------------------------------------------------------------------------

/// Weights that come next, fetched into the second cache a few lines at a time.
struct Ahead {
  const std::uint8_t* next;
  std::size_t n_lines;  // at a time

  void fetch() {
    for (std::size_t i = 0; i < n_lines; ++i, next += kLineBytes) _mm_prefetch(next, _MM_HINT_T1);
  }
};

/// Finished sums, handed over a few tokens at a time while the tiles are busy with the next rows: results go to
/// memory that is in no cache, and waiting for it would cost a third of the time.
class Outbox {
 public:
  explicit Outbox(const TernaryProduct& product) : product_(product), token_(product.token_end) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox() { hand_over(product_.token_end); }

  /// Takes sums of the product's tokens, (n_tokens, n_rows) with `stride` from token to token, once it has handed over
  /// what it had.
  void put(const std::int32_t* sums, std::size_t stride, std::size_t row, std::size_t n_rows) {
    hand_over(product_.token_end);
    sums_ = sums;
    stride_ = stride;
    row_ = row;
    n_rows_ = n_rows < product_.row_end - row ? n_rows : product_.row_end - row;
    token_ = product_.token_begin;
  }
  /// Up to `n` tokens.
  void hand_over(std::size_t n) {
    for (; n > 0 && token_ < product_.token_end; --n, ++token_, sums_ += stride_) {
      product_.sink.take(product_.sink.context, token_, row_, n_rows_, sums_);
    }
  }

 private:
  const TernaryProduct& product_;
  const std::int32_t* sums_ = nullptr;
  std::size_t stride_ = 0, row_ = 0, n_rows_ = 0, token_;
};

struct Beside {
  Ahead ahead;
  Outbox& outbox;
  std::size_t n_tokens;  // handed over in a span
};

// --- multiplying ------------------------------------------------------------------------------------------------

constexpr std::size_t kStripSpanBytes = e5::kGroupCols * 2 * kTileBytes;
constexpr std::size_t kChunkSpans = 3;  // decoded together; with the activations they meet, they fit the first cache
constexpr std::size_t kRunRows = 2 * e5::kRows;  // handed over together
constexpr std::size_t kMaxBlockTokens = 256;

/// Memory of a thread.
struct Scratch {
  alignas(64) std::uint8_t panel[kChunkSpans * kStripSpanBytes];  // 20 KB
  /// 256 KB, of which small products use 8: those in the making and those to be handed over.
  alignas(64) std::int32_t sums[2][kMaxBlockTokens * kRunRows];
};

std::size_t scratch_bytes(std::size_t /*cols*/) { return sizeof(Scratch); }

TokenTiles tokens_at(const TernaryProduct& p, std::size_t token) {
  const std::size_t stride = Operand::tile_bytes(p.cols);
  return {p.operand + token / kTileTokens * stride, stride};
}

const std::uint8_t* block_at(const TernaryProduct& p, std::size_t row) {
  return p.weights + row / e5::kRows * e5::block_bytes(p.cols);
}

/// While a strip is multiplied, half of a block is fetched: the one that comes half a block later.
Ahead ahead_of_strip(const TernaryProduct& p, std::size_t row, std::size_t n_calls) {
  const std::size_t half_bytes = e5::block_bytes(p.cols) / 2;
  const std::size_t half = row % e5::kRows / kStripRows;
  return {block_at(p, row) + (half + 1) * half_bytes, (half_bytes / kLineBytes + n_calls - 1) / n_calls};
}

/// Adds the products of a span.
template <int kTokenTiles, int kRowTiles>
void add_span(TokenTiles x, const std::uint8_t* panel, Beside& beside) {
  for (std::size_t j = 0; j < e5::kGroupCols; ++j) {
    SumTiles<kTokenTiles, kRowTiles>::add({x.first + j * kTileBytes, x.stride}, panel + j * kRowTiles * kTileBytes);
    beside.ahead.fetch();
  }
  beside.outbox.hand_over(beside.n_tokens);
}

/// All tokens fit the tile registers: their sums stay there for all columns.
template <int kTokenTiles, int kRowTiles>
void multiply_few(const TernaryProduct& p, Scratch& scratch) {
  constexpr std::size_t kRows = kRowTiles * kTileRows;
  const TokenTiles tokens = tokens_at(p, p.token_begin);
  const std::size_t n_spans = e5::n_spans(p.cols);
  Outbox outbox(p);
  for (std::size_t row = p.row_begin; row < p.row_end; row += kRows) {
    const std::uint8_t* weights = block_at(p, row);
    const std::size_t half = row % e5::kRows / kStripRows;
    Beside beside = {ahead_of_strip(p, row, n_spans * e5::kGroupCols), outbox,
                     (kTokenTiles * kTileTokens + n_spans - 1) / n_spans};
    if (kRowTiles == 4) beside.ahead.n_lines = kDigitLines;
    SumTiles<kTokenTiles, kRowTiles>::load(Operand::first_sums(tokens.first, p.cols));
    TokenTiles x = {tokens.first + kTileBytes, tokens.stride};
    for (std::size_t col = 0; col < p.cols; col += e5::kSpanCols, x.first += Operand::kSpanBytes) {
      const std::size_t n_groups = e5::span_groups(p.cols - col);
      const std::uint8_t* ahead = weights + kAheadBytes;
      decode_span<kRowTiles>(weights, ahead, half, n_groups, scratch.panel);
      if (kRowTiles == 4) beside.ahead.next = ahead + kHalfLines * kLineBytes;
      weights += n_groups * e5::kRows;
      add_span<kTokenTiles, kRowTiles>(x, scratch.panel, beside);
    }
    std::int32_t* sums = scratch.sums[row / kRows % 2];
    SumTiles<kTokenTiles, kRowTiles>::save(sums, kRows);
    outbox.put(sums, kRows, row, kRows);
  }
}

/// Spans that are decoded at once.
struct Chunk {
  std::size_t first, n;
};

/// Decodes a chunk of a strip. weights: those of the chunk; returns where the next begins.
const std::uint8_t* decode_chunk(const std::uint8_t* weights, std::size_t half, std::size_t cols, Chunk chunk,
                                 std::uint8_t* panel) {
  for (std::size_t s = 0; s < chunk.n; ++s, panel += kStripSpanBytes) {
    const std::size_t n_groups = e5::span_groups(cols - (chunk.first + s) * e5::kSpanCols);
    decode_span<2>(weights, weights, half, n_groups, panel);
    weights += n_groups * e5::kRows;
  }
  return weights;
}

template <int kTokenTiles>
void add_chunk(TokenTiles tokens, Chunk chunk, const std::uint8_t* panel, Beside& beside) {
  for (std::size_t s = 0; s < chunk.n; ++s, panel += kStripSpanBytes) {
    const std::uint8_t* x = tokens.first + kTileBytes + (chunk.first + s) * Operand::kSpanBytes;
    add_span<kTokenTiles, 2>({x, tokens.stride}, panel, beside);
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
void multiply_strip(const TernaryProduct& p, std::size_t row, std::uint8_t* panel, std::int32_t* sums, Outbox& outbox) {
  constexpr std::size_t kPair = 2 * kTileTokens;
  constexpr std::size_t kStrips = kRunRows / kStripRows;
  const std::size_t n_spans = e5::n_spans(p.cols);
  const std::size_t n_pairs = (p.token_end - p.token_begin + kPair - 1) / kPair;
  Beside beside = {ahead_of_strip(p, row, n_pairs * n_spans * e5::kGroupCols), outbox,
                   (kPair / kStrips + n_spans - 1) / n_spans};
  const std::uint8_t* weights = block_at(p, row);
  for (std::size_t span = 0; span < n_spans; span += kChunkSpans) {
    const Chunk chunk = {span, n_spans - span < kChunkSpans ? n_spans - span : kChunkSpans};
    weights = decode_chunk(weights, row % e5::kRows / kStripRows, p.cols, chunk, panel);
    add_chunk_to_all(p, chunk, panel, sums, beside);
  }
}

/// Up to kMaxBlockTokens tokens.
void multiply_many(const TernaryProduct& p, Scratch& scratch) {
  Outbox outbox(p);
  for (std::size_t begin = p.row_begin; begin < p.row_end; begin += kRunRows) {
    std::int32_t* sums = scratch.sums[begin / kRunRows % 2];
    const std::size_t end = p.row_end - begin < kRunRows ? p.row_end : begin + kRunRows;
    for (std::size_t row = begin; row < end; row += kStripRows) {
      multiply_strip(p, row, scratch.panel, sums + (row - begin), outbox);
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
  return {4 * e5::kRows, n_tokens < block ? n_tokens : block};
}

void multiply(const TernaryProduct& product) {
  auto& scratch = *reinterpret_cast<Scratch*>(product.scratch);
  const std::size_t step = block_tokens(product.cols);
  for (std::size_t begin = product.token_begin; begin < product.token_end; begin += step) {
    TernaryProduct p = product;
    p.token_begin = begin;
    p.token_end = product.token_end - begin < step ? product.token_end : begin + step;
    const std::size_t n_tokens = p.token_end - begin;
    const amx::TileRegisters registers(n_tokens < kTileTokens ? n_tokens : kTileTokens);
    if (n_tokens <= kTileTokens) {
      multiply_few<1, 4>(p, scratch);
    } else if (n_tokens <= 2 * kTileTokens) {
      multiply_few<2, 2>(p, scratch);
    } else {
      multiply_many(p, scratch);
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
                               .min_prompt_tokens = 5};

}  // namespace tern::kernels
