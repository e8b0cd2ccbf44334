// Dot-product kernel for AVX-512 VNNI. `vpdpbusd` adds four products of unsigned bytes (codes 0, 1, 2) with signed
// bytes (activations) to a 32-bit lane, without saturation.
#include <immintrin.h>

#include "kernels/dot_operand.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

using tile16x4::kPlanes;
using tile16x4::kTileBytes;
using tile16x4::kTiles;

// A plane is multiplied where it lies, scaled by 1, 4, 16 or 64: codes up to 2 * 64. Per lane of the highest plane that
// is 128 * 127 for each of kMaxCols / 4 columns.
constexpr std::size_t kMaxDecodeCols = std::size_t{1} << 19;
static_assert(128UL * 127 * (kMaxDecodeCols / kPlanes) < (1UL << 31), "a 32-bit lane would overflow: 2.13e9");

constexpr std::size_t kFarBytes = 8192;   // bytes ahead, into the second cache
constexpr std::size_t kNearBytes = 1024;  // bytes ahead, into the first

inline void prefetch(const std::uint8_t* p) {
  _mm_prefetch(p + kFarBytes, _MM_HINT_T1);
  _mm_prefetch(p + kNearBytes, _MM_HINT_T0);
}

/// Four bytes in every lane.
inline __m512i broadcast(const std::uint8_t* p) {
  std::int32_t quad = 0;
  std::memcpy(&quad, p, sizeof quad);
  return _mm512_set1_epi32(quad);
}

// --- one token --------------------------------------------------------------------------------------------------

using DecodeOperand = DotOperand<1>;

/// 64 sums of codes times activations over `n_steps` steps (16 columns each).
struct BlockSums {
  __m512i tile[kTiles];
};

inline BlockSums sum_steps(const std::uint8_t* weights, const std::uint8_t* x, std::size_t n_steps) {
  __m512i sums[kTiles][kPlanes] = {};
  for (std::size_t s = 0; s < n_steps; ++s, weights += tile16x4::kStepBytes, x += tile16x4::kStepCols) {
    for (std::size_t i = 0; i < kTiles; ++i) {
      prefetch(weights + i * kTileBytes);
      const __m512i v = _mm512_load_si512(weights + i * kTileBytes);
      for (std::size_t j = 0; j < kPlanes; ++j) {
        const __m512i plane = _mm512_and_si512(v, _mm512_set1_epi8(static_cast<char>(3U << (2 * j))));
        sums[i][j] = _mm512_dpbusd_epi32(sums[i][j], plane, broadcast(x + j * tile16x4::kPlaneCols));
      }
    }
  }
  BlockSums total;
  for (std::size_t i = 0; i < kTiles; ++i) {  // exact shifts: each plane's sum is a multiple of its scale
    const __m512i a = _mm512_add_epi32(sums[i][0], _mm512_srai_epi32(sums[i][1], 2));
    const __m512i b = _mm512_add_epi32(_mm512_srai_epi32(sums[i][2], 4), _mm512_srai_epi32(sums[i][3], 6));
    total.tile[i] = _mm512_add_epi32(a, b);
  }
  return total;
}

/// sums: (64), the products of one block of rows with one token.
void multiply_block(const std::uint8_t* weights, const std::uint8_t* token, std::size_t cols, std::int32_t* sums) {
  constexpr std::size_t kMaxSteps = kMaxDecodeCols / tile16x4::kStepCols;
  __m512i total[kTiles];
  for (__m512i& t : total) {
    t = _mm512_set1_epi32(-*DecodeOperand::sums(token, cols));
  }
  const std::size_t n_steps = tile16x4::n_steps(cols);
  for (std::size_t s = 0; s < n_steps; s += kMaxSteps) {
    const BlockSums part = sum_steps(weights + s * tile16x4::kStepBytes, token + s * tile16x4::kStepCols,
                                     n_steps - s < kMaxSteps ? n_steps - s : kMaxSteps);
    for (std::size_t i = 0; i < kTiles; ++i) {
      total[i] = _mm512_add_epi32(total[i], part.tile[i]);
    }
  }
  for (std::size_t i = 0; i < kTiles; ++i) {
    _mm512_store_si512(sums + i * tile16x4::kTileRows, total[i]);
  }
}

std::size_t no_scratch(std::size_t /*cols*/) { return 0; }

/// Long enough for the threads to share work out cheaply, short enough to share it out evenly.
Grain decode_grain(std::size_t n_tokens, std::size_t /*cols*/) { return {4 * tile16x4::kRows, n_tokens}; }

void multiply_tokens(const TernaryProduct& p) {
  for (std::size_t r = p.row_begin; r < p.row_end; r += tile16x4::kRows) {
    const std::uint8_t* weights = p.weights + r / tile16x4::kRows * tile16x4::block_bytes(p.cols);
    const std::size_t n_rows = p.row_end - r < tile16x4::kRows ? p.row_end - r : tile16x4::kRows;
    for (std::size_t t = p.token_begin; t < p.token_end; ++t) {
      alignas(64) std::int32_t sums[tile16x4::kRows];
      multiply_block(weights, p.operand + t * DecodeOperand::block_bytes(p.cols), p.cols, sums);
      p.sink.take(p.sink.context, t, r, n_rows, sums);
    }
  }
}

// --- many tokens ------------------------------------------------------------------------------------------------

constexpr std::size_t kTokens = 8;  // of a micro-tile: 2 tiles x 8 tokens are 16 accumulators
using PromptOperand = DotOperand<kTokens>;
static_assert(2 * 127 * kMaxCols < (std::size_t{1} << 31), "a 32-bit lane would overflow");

constexpr std::size_t kStripTiles = 2;  // 32 rows
constexpr std::size_t kStripRows = kStripTiles * tile16x4::kTileRows;
constexpr std::size_t kStripQuadBytes = kStripTiles * kTileBytes;  // four columns of a strip

/// Room for a strip unpacked to one code per byte: (padded_cols / 4, 2 tiles, 64 bytes).
std::size_t strip_bytes(std::size_t cols) {
  return tile16x4::padded_cols(cols) / tile16x4::kPlaneCols * kStripQuadBytes;
}

void unpack_strip(const std::uint8_t* weights, std::size_t n_steps, std::uint8_t* strip) {
  const __m512i field = _mm512_set1_epi8(3);
  for (std::size_t s = 0; s < n_steps; ++s, weights += tile16x4::kStepBytes, strip += kPlanes * kStripQuadBytes) {
    for (std::size_t i = 0; i < kStripTiles; ++i) {
      const __m512i v = _mm512_load_si512(weights + i * kTileBytes);
      std::uint8_t* out = strip + i * kTileBytes;
      _mm512_store_si512(out, _mm512_and_si512(v, field));
      _mm512_store_si512(out + kStripQuadBytes, _mm512_and_si512(_mm512_srli_epi16(v, 2), field));
      _mm512_store_si512(out + 2 * kStripQuadBytes, _mm512_and_si512(_mm512_srli_epi16(v, 4), field));
      _mm512_store_si512(out + 3 * kStripQuadBytes, _mm512_and_si512(_mm512_srli_epi16(v, 6), field));
    }
  }
}

/// sums: (kTokens, 32 rows) of one strip and one token block.
void multiply_strip(const std::uint8_t* strip, const std::uint8_t* x, std::size_t n_quads, const std::int32_t* x_sums,
                    std::int32_t* sums) {
  __m512i a[kTokens];
  __m512i b[kTokens];
  for (std::size_t t = 0; t < kTokens; ++t) {
    a[t] = b[t] = _mm512_set1_epi32(-x_sums[t]);
  }
  for (std::size_t q = 0; q < n_quads; ++q, strip += kStripQuadBytes, x += PromptOperand::kQuadBytes) {
    const __m512i upper = _mm512_load_si512(strip);
    const __m512i lower = _mm512_load_si512(strip + kTileBytes);
    for (std::size_t t = 0; t < kTokens; ++t) {
      const __m512i quad = broadcast(x + t * tile16x4::kPlaneCols);
      a[t] = _mm512_dpbusd_epi32(a[t], upper, quad);
      b[t] = _mm512_dpbusd_epi32(b[t], lower, quad);
    }
  }
  for (std::size_t t = 0; t < kTokens; ++t) {
    _mm512_store_si512(sums + t * kStripRows, a[t]);
    _mm512_store_si512(sums + t * kStripRows + tile16x4::kTileRows, b[t]);
  }
}

/// Multiplies the strip in p.scratch, which begins at row r, with all tokens.
void multiply_strip_by_tokens(const TernaryProduct& p, std::size_t r) {
  const std::size_t n_rows = p.row_end - r < kStripRows ? p.row_end - r : kStripRows;
  const std::size_t n_quads = tile16x4::padded_cols(p.cols) / tile16x4::kPlaneCols;
  for (std::size_t begin = p.token_begin; begin < p.token_end; begin += kTokens) {
    const std::uint8_t* block = p.operand + begin / kTokens * PromptOperand::block_bytes(p.cols);
    alignas(64) std::int32_t sums[kTokens * kStripRows];
    multiply_strip(p.scratch, block, n_quads, PromptOperand::sums(block, p.cols), sums);
    for (std::size_t t = 0; t < kTokens && begin + t < p.token_end; ++t) {
      p.sink.take(p.sink.context, begin + t, r, n_rows, sums + t * kStripRows);
    }
  }
}

/// Tokens stay together: a strip is unpacked once for all of them.
Grain prompt_grain(std::size_t n_tokens, std::size_t /*cols*/) { return {tile16x4::kRows, n_tokens}; }

void multiply_prompt(const TernaryProduct& p) {
  for (std::size_t r = p.row_begin; r < p.row_end; r += kStripRows) {
    const std::uint8_t* block = p.weights + r / tile16x4::kRows * tile16x4::block_bytes(p.cols);
    const std::size_t tile = r % tile16x4::kRows / tile16x4::kTileRows;
    unpack_strip(block + tile * kTileBytes, tile16x4::n_steps(p.cols), p.scratch);
    multiply_strip_by_tokens(p, r);
  }
}

}  // namespace

const TernaryKernel kDotAvx512Vnni = {.name = "dot-avx512vnni",
                                      .family = Family::kDot,
                                      .isa = Isa::kAvx512Vnni,
                                      .layout = &kTile16x4,
                                      .decode = {.operand_bytes = DecodeOperand::bytes,
                                                 .prepare = DecodeOperand::prepare,
                                                 .scratch_bytes = no_scratch,
                                                 .grain = decode_grain,
                                                 .multiply = multiply_tokens},
                                      .prompt = {.operand_bytes = PromptOperand::bytes,
                                                 .prepare = PromptOperand::prepare,
                                                 .scratch_bytes = strip_bytes,
                                                 .grain = prompt_grain,
                                                 .multiply = multiply_prompt},
                                      .min_prompt_tokens = 3};

}  // namespace tern::kernels
