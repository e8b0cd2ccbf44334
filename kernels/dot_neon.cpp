// Dot-product kernel for AArch64 processors with `sdot`.
#include "kernels/dot_neon.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

using tile16x4::kPlaneCols;
using tile16x4::kTileRows;

using PromptOperand = DotOperand<kTokens>;

// A micro-tile is 8 rows x 8 tokens: 16 registers of sums, and 4 loads for 16 `sdot`.
constexpr std::size_t kHalfQuadBytes = kHalfRows * kPlaneCols;  // four columns of 8 rows
constexpr std::size_t kHalfVectors = kHalfQuadBytes / kVectorBytes;

/// strip: (2 halves, padded_cols / 4, 8 rows, 4 columns), one code per byte.
void unpack_strip(const std::uint8_t* weights, std::size_t cols, std::uint8_t* strip) {
  for (std::size_t s = 0; s < tile16x4::n_steps(cols); ++s, weights += tile16x4::kStepBytes) {
    for (std::size_t i = 0; i < kTileVectors; ++i) {
      const UnpackedCodes codes = unpack(vld1q_u8(weights + i * kVectorBytes));
      std::uint8_t* out = strip + i / kHalfVectors * half_bytes(cols) + s * tile16x4::kPlanes * kHalfQuadBytes +
                          i % kHalfVectors * kVectorBytes;
      for (std::size_t j = 0; j < tile16x4::kPlanes; ++j) {
        vst1q_u8(out + j * kHalfQuadBytes, codes.plane[j]);
      }
    }
  }
}

/// Adds four columns of 4 rows times those of four tokens.
inline void add_quad(int32x4_t* sums, int8x16_t codes, int8x16_t x) {
  sums[0] = vdotq_laneq_s32(sums[0], codes, x, 0);
  sums[1] = vdotq_laneq_s32(sums[1], codes, x, 1);
  sums[2] = vdotq_laneq_s32(sums[2], codes, x, 2);
  sums[3] = vdotq_laneq_s32(sums[3], codes, x, 3);
}

/// sums: (kTokens, 16 rows), of which 8 rows are computed.
void multiply_half(const std::uint8_t* half, const std::uint8_t* token_block, std::size_t cols, std::int32_t* sums) {
  const std::int32_t* x_sums = PromptOperand::sums(token_block, cols);
  int32x4_t a[kTokens];
  int32x4_t b[kTokens];
  for (std::size_t t = 0; t < kTokens; ++t) {
    a[t] = b[t] = vdupq_n_s32(-x_sums[t]);
  }
  const std::size_t n_quads = tile16x4::padded_cols(cols) / kPlaneCols;
  for (std::size_t q = 0; q < n_quads; ++q, half += kHalfQuadBytes, token_block += PromptOperand::kQuadBytes) {
    const int8x16_t upper = load(half);
    const int8x16_t lower = load(half + kVectorBytes);
    const int8x16_t x0 = load(token_block);
    const int8x16_t x4 = load(token_block + kVectorBytes);
    add_quad(a, upper, x0);
    add_quad(a + 4, upper, x4);
    add_quad(b, lower, x0);
    add_quad(b + 4, lower, x4);
  }
  for (std::size_t t = 0; t < kTokens; ++t) {
    vst1q_s32(sums + t * kTileRows, a[t]);
    vst1q_s32(sums + t * kTileRows + kRowsPerVector, b[t]);
  }
}

/// What multiply_prompt() asks for.
struct MicroTile {
  static constexpr auto unpack = unpack_strip;
  static constexpr auto multiply = multiply_half;
};

}  // namespace

// From how many tokens on the prompt's way is shorter is counted, in instructions: a token block costs 32 `sdot` where
// decoding costs 8 instructions a token.
const TernaryKernel kDotNeonDotprod = {.name = "dot-neon-dotprod",
                                       .family = Family::kDot,
                                       .isa = Isa::kDotprod,
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
                                                  .multiply = multiply_prompt<MicroTile>},
                                       .min_prompt_tokens = 5};

}  // namespace tern::kernels
