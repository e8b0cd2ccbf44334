// Dot-product kernel for AArch64 processors with `sdot`.
#include "kernels/dot_neon.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

/// The four activations of one token in every lane.
inline int8x16_t broadcast(const std::uint8_t* p) {
  std::int32_t quad = 0;
  std::memcpy(&quad, p, sizeof quad);
  return vreinterpretq_s8_s32(vdupq_n_s32(quad));
}

/// Sums of 4 rows and kN tokens.
template <std::size_t kN>
struct RowSums {
  int32x4_t of[kN];

  void load(const std::int32_t* sums) {
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kN; ++t) of[t] = vld1q_s32(sums + t * kTileRows);
  }
  void store(std::int32_t* sums) const {
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kN; ++t) vst1q_s32(sums + t * kTileRows, of[t]);
  }
  /// Adds four columns of four tokens from `t` on.
  void add_four(std::size_t t, int8x16_t codes, int8x16_t x) {
    of[t] = vdotq_laneq_s32(of[t], codes, x, 0);
    of[t + 1] = vdotq_laneq_s32(of[t + 1], codes, x, 1);
    of[t + 2] = vdotq_laneq_s32(of[t + 2], codes, x, 2);
    of[t + 3] = vdotq_laneq_s32(of[t + 3], codes, x, 3);
  }
};

/// Many tokens. strip: (padded columns / 4, 16 rows, 4 columns).
struct PromptTile : UnpackedStrip<Tile16x4Columns, kTileRows, kPromptTokens> {
  static const std::uint8_t* strip(const std::uint8_t* chunk, std::size_t row, std::size_t cols,
                                   std::uint8_t* scratch) {
    unpack_tile<kQuad>(chunk + row / kTileRows * kTileBytes, cols, scratch,
                       [](const uint8x16_t(&planes)[kPlanes], std::uint8_t* out) {
                         for (const uint8x16_t& plane : planes) {
                           vst1q_u8(out, plane);
                           out += kTileRows * kQuad;
                         }
                       });
    return scratch;
  }

  template <std::size_t kN>
  static void add(const std::uint8_t* strip, const std::uint8_t* quads, std::size_t cols, BlockAhead& /*ahead*/,
                  std::int32_t* sums) {
    const std::size_t n_quads = Columns::padded(cols) / kQuad;
    for (std::size_t row = 0; row < kRows; row += kHalfRows) {
      add_half<kN>(strip + row * kQuad, quads, n_quads, sums + row);
    }
  }

 private:
  /// Adds to the sums of 8 rows. sums: (kN, kRows)
  template <std::size_t kN>
  static void add_half(const std::uint8_t* half, const std::uint8_t* quads, std::size_t n_quads, std::int32_t* sums) {
    constexpr std::size_t kFours = kN / 4 * 4;  // tokens whose quads fill a register; the others are broadcast
    RowSums<kN> upper;
    RowSums<kN> lower;
    upper.load(sums);
    lower.load(sums + kVectorRows);
    for (std::size_t q = 0; q < n_quads; ++q, half += kTileRows * kQuad, quads += kN * kQuad) {
      const int8x16_t a = load(half);
      const int8x16_t b = load(half + kVectorBytes);
#pragma GCC unroll 2
      for (std::size_t t = 0; t < kFours; t += 4) {
        const int8x16_t x = load(quads + t * kQuad);
        upper.add_four(t, a, x);
        lower.add_four(t, b, x);
      }
#pragma GCC unroll 3
      for (std::size_t t = kFours; t < kN; ++t) {
        const int8x16_t x = broadcast(quads + t * kQuad);
        upper.of[t] = vdotq_s32(upper.of[t], a, x);
        lower.of[t] = vdotq_s32(lower.of[t], b, x);
      }
    }
    upper.store(sums);
    lower.store(sums + kVectorRows);
  }
};

}  // namespace

// From how many tokens on the prompt's way is shorter is counted, in instructions for 4 rows x 16 columns: 9 a token
// for decoding; 15 for unpacking and loading the codes, then 18 for four tokens.
const TernaryKernel kDotNeonDotprod = {.name = "dot-neon-dotprod",
                                       .family = Family::kDot,
                                       .isa = Isa::kDotprod,
                                       .layout = &kTile16x4,
                                       .decode = DotRoutine<DecodeTile<TileSums>>::kTable,
                                       .prompt = DotRoutine<PromptTile>::kTable,
                                       .min_prompt_tokens = 4};

}  // namespace tern::kernels
