// Dot-product kernel for AArch64 processors with `smmla`, which multiplies 2 rows x 8 columns with 8 columns x 2 rows
// of signed bytes and adds to a 2 x 2 matrix of 32-bit sums: twice the work of `sdot`, where there are two tokens at
// least.
#include "kernels/dot_neon.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

using tile16x4::kTileRows;

constexpr std::size_t kOctetCols = 8;
using PromptOperand = DotOperand<kTokens, kOctetCols>;

// A micro-tile is 8 rows x 8 tokens, in pairs: 16 registers of sums, and 8 loads for 16 `smmla`.
constexpr std::size_t kPairs = 4;
constexpr std::size_t kHalfOctetBytes = kHalfRows * kOctetCols;  // eight columns of 8 rows
constexpr std::size_t kHalfVectors = kHalfRows / kRowsPerVector;

/// Stores eight columns of 4 rows, of which `a` and `b` hold four each.
inline void store_octet(uint8x16_t a, uint8x16_t b, std::uint8_t* out) {
  const uint32x4_t first = vreinterpretq_u32_u8(a);
  const uint32x4_t second = vreinterpretq_u32_u8(b);
  vst1q_u8(out, vreinterpretq_u8_u32(vzip1q_u32(first, second)));
  vst1q_u8(out + kVectorBytes, vreinterpretq_u8_u32(vzip2q_u32(first, second)));
}

/// strip: (2 halves, padded_cols / 8, 8 rows, 8 columns), one code per byte.
void unpack_strip(const std::uint8_t* weights, std::size_t cols, std::uint8_t* strip) {
  for (std::size_t s = 0; s < tile16x4::n_steps(cols); ++s, weights += tile16x4::kStepBytes) {
    for (std::size_t i = 0; i < kTileVectors; ++i) {
      const UnpackedCodes codes = unpack(vld1q_u8(weights + i * kVectorBytes));
      std::uint8_t* out = strip + i / kHalfVectors * half_bytes(cols) + s * tile16x4::kStepCols * kHalfRows +
                          i % kHalfVectors * kRowsPerVector * kOctetCols;
      store_octet(codes.plane[0], codes.plane[1], out);
      store_octet(codes.plane[2], codes.plane[3], out + kHalfOctetBytes);
    }
  }
}

/// sums: (kTokens, 16 rows), of which 8 rows are computed.
void multiply_half(const std::uint8_t* half, const std::uint8_t* token_block, std::size_t cols, std::int32_t* sums) {
  const std::int32_t* x_sums = PromptOperand::sums(token_block, cols);
  int32x4_t pairs[kPairs][kPairs];  // [tokens][rows]: token 2t with rows 2r, 2r + 1 | token 2t + 1 with these
  for (std::size_t t = 0; t < kPairs; ++t) {
    const int32x4_t start = vcombine_s32(vdup_n_s32(-x_sums[2 * t]), vdup_n_s32(-x_sums[2 * t + 1]));
    for (int32x4_t& pair : pairs[t]) pair = start;
  }
  const std::size_t n_octets = tile16x4::padded_cols(cols) / kOctetCols;
  for (std::size_t o = 0; o < n_octets; ++o, half += kHalfOctetBytes, token_block += PromptOperand::kQuadBytes) {
    int8x16_t codes[kPairs];
    for (std::size_t r = 0; r < kPairs; ++r) codes[r] = load(half + r * kVectorBytes);
    for (std::size_t t = 0; t < kPairs; ++t) {
      const int8x16_t x = load(token_block + t * kVectorBytes);
      for (std::size_t r = 0; r < kPairs; ++r) pairs[t][r] = vmmlaq_s32(pairs[t][r], x, codes[r]);
    }
  }
  for (std::size_t t = 0; t < kPairs; ++t) {
    std::int32_t* out = sums + 2 * t * kTileRows;
    for (std::size_t r = 0; r < kPairs; ++r) {
      vst1_s32(out + 2 * r, vget_low_s32(pairs[t][r]));
      vst1_s32(out + kTileRows + 2 * r, vget_high_s32(pairs[t][r]));
    }
  }
}

/// What multiply_prompt() asks for.
struct MicroTile {
  static constexpr auto unpack = unpack_strip;
  static constexpr auto multiply = multiply_half;
};

}  // namespace

// From how many tokens on the prompt's way is shorter is counted, in instructions: a token block costs 16 `smmla`, and
// unpacking about 12, where decoding costs 8 instructions a token.
const TernaryKernel kDotNeonI8mm = {.name = "dot-neon-i8mm",
                                    .family = Family::kDot,
                                    .isa = Isa::kI8mm,
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
                                    .min_prompt_tokens = 4};

}  // namespace tern::kernels
