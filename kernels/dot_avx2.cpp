// Dot-product kernel for AVX2. `vpmaddubsw` multiplies unsigned bytes (codes 0, 1, 2) with signed bytes (activations,
// |x| <= 127) and adds neighbouring products in 16 bits, with saturation: the bounds below keep it from happening.
#include <immintrin.h>

#include "kernels/dot_operand.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

using tile16x4::kPlaneCols;
using tile16x4::kTileBytes;
using tile16x4::kTileRows;

constexpr int kMaxX = 127;
constexpr int kMaxPair = 2 * 2 * kMaxX;  // two products of a code <= 2: 508

constexpr std::size_t kFarBytes = 8192;   // bytes ahead, into the second cache
constexpr std::size_t kNearBytes = 1024;  // bytes ahead, into the first

inline __m256i load(const void* p) { return _mm256_load_si256(static_cast<const __m256i*>(p)); }
inline void store(void* p, __m256i v) { _mm256_store_si256(static_cast<__m256i*>(p), v); }

/// Four bytes in every 32-bit lane.
inline __m256i broadcast(const std::uint8_t* p) {
  std::int32_t quad = 0;
  std::memcpy(&quad, p, sizeof quad);
  return _mm256_set1_epi32(quad);
}

/// Adds neighbouring 16-bit lanes.
inline __m256i widen(__m256i v) { return _mm256_madd_epi16(v, _mm256_set1_epi16(1)); }

/// Has both sums computed here and now: compilers would first form the products of all tokens, which together with the
/// sums are more than the 16 registers can hold.
inline void complete(__m256i& a, __m256i& b) { asm("" : "+x"(a), "+x"(b)); }

// --- one token --------------------------------------------------------------------------------------------------

using DecodeOperand = DotOperand<1>;

// Planes 0 and 2 (after a shift by 4 bits) are at scale 1, planes 1 and 3 at scale 4, in an accumulator each.
constexpr std::size_t kChunkSteps = 8;
static_assert(kChunkSteps * 2 * 4 * kMaxPair <= 32767, "16-bit lanes would saturate: 8 * 4064 = 32512");
static_assert(kChunkSteps * 2 * kMaxPair * 2 <= 32767, "and so would their sum at one scale: 2 * 8128 = 16256");

/// 16-bit sums of 8 rows, at scale 1 and 4.
struct ScaledSums {
  __m256i one = _mm256_setzero_si256();
  __m256i four = _mm256_setzero_si256();

  void add(__m256i codes, const __m256i (&x)[4]) {
    const __m256i low = _mm256_set1_epi8(0x03);
    const __m256i high = _mm256_set1_epi8(0x0C);
    const __m256i shifted = _mm256_srli_epi16(codes, 4);
    one = _mm256_add_epi16(one, _mm256_maddubs_epi16(_mm256_and_si256(codes, low), x[0]));
    four = _mm256_add_epi16(four, _mm256_maddubs_epi16(_mm256_and_si256(codes, high), x[1]));
    one = _mm256_add_epi16(one, _mm256_maddubs_epi16(_mm256_and_si256(shifted, low), x[2]));
    four = _mm256_add_epi16(four, _mm256_maddubs_epi16(_mm256_and_si256(shifted, high), x[3]));
  }
  [[nodiscard]] __m256i total() const { return widen(_mm256_add_epi16(one, _mm256_srai_epi16(four, 2))); }
};

/// Adds `n_steps` <= kChunkSteps steps to the sums of one tile. sums: (16).
inline void add_chunk(const std::uint8_t* weights, const std::uint8_t* x, std::size_t n_steps, std::int32_t* sums) {
  ScaledSums upper;
  ScaledSums lower;
  for (std::size_t s = 0; s < n_steps; ++s, weights += tile16x4::kStepBytes, x += tile16x4::kStepCols) {
    const __m256i quads[4] = {broadcast(x), broadcast(x + kPlaneCols), broadcast(x + 2 * kPlaneCols),
                              broadcast(x + 3 * kPlaneCols)};
    _mm_prefetch(weights + kFarBytes, _MM_HINT_T1);
    _mm_prefetch(weights + kNearBytes, _MM_HINT_T0);
    upper.add(load(weights), quads);
    lower.add(load(weights + kTileBytes / 2), quads);
  }
  store(sums, _mm256_add_epi32(load(sums), upper.total()));
  store(sums + 8, _mm256_add_epi32(load(sums + 8), lower.total()));
}

/// sums: (64), the products of one block of rows with one token.
void multiply_block(const std::uint8_t* weights, const std::uint8_t* token, std::size_t cols, std::int32_t* sums) {
  const __m256i start = _mm256_set1_epi32(-*DecodeOperand::sums(token, cols));
  for (std::size_t i = 0; i < tile16x4::kRows; i += 8) {
    store(sums + i, start);
  }
  const std::size_t n_steps = tile16x4::n_steps(cols);
  for (std::size_t s = 0; s < n_steps; s += kChunkSteps) {
    const std::size_t n = n_steps - s < kChunkSteps ? n_steps - s : kChunkSteps;
    for (std::size_t i = 0; i < tile16x4::kTiles; ++i) {
      add_chunk(weights + s * tile16x4::kStepBytes + i * kTileBytes, token + s * tile16x4::kStepCols, n,
                sums + i * kTileRows);
    }
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

constexpr std::size_t kTokens = 4;  // of a micro-tile: 16 rows x 4 tokens are 8 accumulators
using PromptOperand = DotOperand<kTokens>;

constexpr std::size_t kSpanQuads = 64;  // steps of four columns that are summed in 16 bits
static_assert(kSpanQuads * kMaxPair <= 32767, "16-bit lanes would saturate: 64 * 508 = 32512");

/// Room for 16 rows unpacked to one code per byte: (padded_cols / 4, 64 bytes).
std::size_t strip_bytes(std::size_t cols) { return tile16x4::padded_cols(cols) / kPlaneCols * kTileBytes; }

void unpack_strip(const std::uint8_t* weights, std::size_t n_steps, std::uint8_t* strip) {
  const __m256i field = _mm256_set1_epi8(3);
  for (std::size_t s = 0; s < n_steps; ++s, weights += tile16x4::kStepBytes, strip += 4 * kTileBytes) {
    for (std::size_t i = 0; i < kTileBytes; i += 32) {
      const __m256i v = load(weights + i);
      store(strip + i, _mm256_and_si256(v, field));
      store(strip + kTileBytes + i, _mm256_and_si256(_mm256_srli_epi16(v, 2), field));
      store(strip + 2 * kTileBytes + i, _mm256_and_si256(_mm256_srli_epi16(v, 4), field));
      store(strip + 3 * kTileBytes + i, _mm256_and_si256(_mm256_srli_epi16(v, 6), field));
    }
  }
}

/// Adds `n_quads` <= kSpanQuads steps of four columns. sums: (kTokens, 16 rows).
void add_span(const std::uint8_t* strip, const std::uint8_t* x, std::size_t n_quads, std::int32_t* sums) {
  __m256i a[kTokens] = {};
  __m256i b[kTokens] = {};
  for (std::size_t q = 0; q < n_quads; ++q, strip += kTileBytes, x += PromptOperand::kQuadBytes) {
    const __m256i upper = load(strip);
    const __m256i lower = load(strip + kTileBytes / 2);
    for (std::size_t t = 0; t < kTokens; ++t) {
      const __m256i quad = broadcast(x + t * kPlaneCols);
      a[t] = _mm256_add_epi16(a[t], _mm256_maddubs_epi16(upper, quad));
      b[t] = _mm256_add_epi16(b[t], _mm256_maddubs_epi16(lower, quad));
      complete(a[t], b[t]);
    }
  }
  for (std::size_t t = 0; t < kTokens; ++t, sums += kTileRows) {
    store(sums, _mm256_add_epi32(load(sums), widen(a[t])));
    store(sums + 8, _mm256_add_epi32(load(sums + 8), widen(b[t])));
  }
}

/// sums: (kTokens, 16 rows) of one strip and one token block.
void multiply_strip(const std::uint8_t* strip, const std::uint8_t* block, std::size_t cols, std::int32_t* sums) {
  for (std::size_t t = 0; t < kTokens; ++t) {
    const __m256i start = _mm256_set1_epi32(-PromptOperand::sums(block, cols)[t]);
    store(sums + t * kTileRows, start);
    store(sums + t * kTileRows + 8, start);
  }
  const std::size_t n_quads = tile16x4::padded_cols(cols) / kPlaneCols;
  for (std::size_t q = 0; q < n_quads; q += kSpanQuads) {
    add_span(strip + q * kTileBytes, block + q * PromptOperand::kQuadBytes,
             n_quads - q < kSpanQuads ? n_quads - q : kSpanQuads, sums);
  }
}

/// Multiplies the strip in p.scratch, which begins at row r, with all tokens.
void multiply_strip_by_tokens(const TernaryProduct& p, std::size_t r) {
  const std::size_t n_rows = p.row_end - r < kTileRows ? p.row_end - r : kTileRows;
  for (std::size_t begin = p.token_begin; begin < p.token_end; begin += kTokens) {
    const std::uint8_t* block = p.operand + begin / kTokens * PromptOperand::block_bytes(p.cols);
    alignas(64) std::int32_t sums[kTokens * kTileRows];
    multiply_strip(p.scratch, block, p.cols, sums);
    for (std::size_t t = 0; t < kTokens && begin + t < p.token_end; ++t) {
      p.sink.take(p.sink.context, begin + t, r, n_rows, sums + t * kTileRows);
    }
  }
}

/// Tokens stay together: a strip is unpacked once for all of them.
Grain prompt_grain(std::size_t n_tokens, std::size_t /*cols*/) { return {tile16x4::kRows, n_tokens}; }

void multiply_prompt(const TernaryProduct& p) {
  for (std::size_t r = p.row_begin; r < p.row_end; r += kTileRows) {
    const std::uint8_t* block = p.weights + r / tile16x4::kRows * tile16x4::block_bytes(p.cols);
    const std::size_t tile = r % tile16x4::kRows / kTileRows;
    unpack_strip(block + tile * kTileBytes, tile16x4::n_steps(p.cols), p.scratch);
    multiply_strip_by_tokens(p, r);
  }
}

}  // namespace

const TernaryKernel kDotAvx2 = {.name = "dot-avx2",
                                .family = Family::kDot,
                                .isa = Isa::kAvx2,
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
