// Dot-product kernel for AArch64 processors with `smmla`, which multiplies 2 rows x 8 columns with 8 columns x 2 rows
// of signed bytes and adds to a 2 x 2 matrix of 32-bit sums: twice the work of `sdot`, where there are two tokens at
// least.
#include "kernels/dot_neon.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kOctet = 8;
constexpr std::size_t kHalfPairs = kHalfRows / 2;  // of rows

/// Stores eight columns of 4 rows, of which `a` and `b` hold four each.
inline void store_octet(uint8x16_t a, uint8x16_t b, std::uint8_t* out) {
  const uint32x4_t first = vreinterpretq_u32_u8(a);
  const uint32x4_t second = vreinterpretq_u32_u8(b);
  vst1q_u8(out, vreinterpretq_u8_u32(vzip1q_u32(first, second)));
  vst1q_u8(out + kVectorBytes, vreinterpretq_u8_u32(vzip2q_u32(first, second)));
}

/// Eight columns of one token, in the place of the first of two; zeros for the second.
inline int8x16_t load_single(const std::uint8_t* p) {
  return vreinterpretq_s8_u8(vcombine_u8(vld1_u8(p), vdup_n_u8(0)));
}

/// Sums of kN tokens and 8 rows, by pairs: token 2t with rows 2r, 2r + 1 | token 2t + 1 with these. A last token that
/// has no other is paired with zeros, which leave what is in the other's place as it is.
template <std::size_t kN>
struct PairSums {
  static constexpr std::size_t kPairs = (kN + 1) / 2;
  int32x4_t of[kPairs][kHalfPairs];

  /// sums: (kN, 16)
  void load(const std::int32_t* sums) {
#pragma GCC unroll 4
    for (std::size_t t = 0; t < kPairs; ++t) {
      const std::int32_t* first = sums + 2 * t * kTileRows;
      const std::int32_t* second = first + (has_second(t) ? kTileRows : 0);
#pragma GCC unroll 4
      for (std::size_t r = 0; r < kHalfPairs; ++r) {
        of[t][r] = vcombine_s32(vld1_s32(first + 2 * r), vld1_s32(second + 2 * r));
      }
    }
  }
  void store(std::int32_t* sums) const {
#pragma GCC unroll 4
    for (std::size_t t = 0; t < kPairs; ++t) {
      std::int32_t* first = sums + 2 * t * kTileRows;
#pragma GCC unroll 4
      for (std::size_t r = 0; r < kHalfPairs; ++r) {
        vst1_s32(first + 2 * r, vget_low_s32(of[t][r]));
        if (has_second(t)) vst1_s32(first + kTileRows + 2 * r, vget_high_s32(of[t][r]));
      }
    }
  }
  /// octets: (kN, 8 columns)
  void add(const int8x16_t (&codes)[kHalfPairs], const std::uint8_t* octets) {
#pragma GCC unroll 4
    for (std::size_t t = 0; t < kPairs; ++t) {
      const std::uint8_t* pair = octets + 2 * t * kOctet;
      const int8x16_t x = has_second(t) ? tern::kernels::load(pair) : load_single(pair);
#pragma GCC unroll 4
      for (std::size_t r = 0; r < kHalfPairs; ++r) of[t][r] = vmmlaq_s32(of[t][r], x, codes[r]);
    }
  }

 private:
  static constexpr bool has_second(std::size_t t) { return 2 * t + 1 < kN; }
};

/// Many tokens. strip: (padded columns / 8, 16 rows, 8 columns).
struct PromptTile : UnpackedStrip<Tile16x4Columns, kTileRows, kPromptTokens, kOctet> {
  static const std::uint8_t* strip(const std::uint8_t* chunk, std::size_t row, std::size_t cols,
                                   std::uint8_t* scratch) {
    unpack_tile<kOctet>(chunk + row / kTileRows * kTileBytes, cols, scratch,
                        [](const uint8x16_t(&planes)[kPlanes], std::uint8_t* out) {
                          store_octet(planes[0], planes[1], out);
                          store_octet(planes[2], planes[3], out + kTileRows * kOctet);
                        });
    return scratch;
  }

  template <std::size_t kN>
  static void add(const std::uint8_t* strip, const std::uint8_t* octets, std::size_t cols, BlockAhead& /*ahead*/,
                  std::int32_t* sums) {
    const std::size_t n_octets = Columns::padded(cols) / kOctet;
    for (std::size_t row = 0; row < kRows; row += kHalfRows) {
      add_half<kN>(strip + row * kOctet, octets, n_octets, sums + row);
    }
  }

 private:
  /// Adds to the sums of 8 rows. sums: (kN, kRows)
  template <std::size_t kN>
  static void add_half(const std::uint8_t* half, const std::uint8_t* octets, std::size_t n_octets, std::int32_t* sums) {
    PairSums<kN> pairs;
    pairs.load(sums);
    for (std::size_t o = 0; o < n_octets; ++o, half += kRows * kOctet, octets += kN * kOctet) {
      const int8x16_t codes[kHalfPairs] = {load(half), load(half + kVectorBytes), load(half + 2 * kVectorBytes),
                                           load(half + 3 * kVectorBytes)};
      pairs.add(codes, octets);
    }
    pairs.store(sums);
  }
};

}  // namespace

// From how many tokens on the prompt's way is shorter is counted, in instructions for 4 rows x 16 columns: 9 a token
// for decoding; 19 for unpacking and loading the codes, then 5 for two tokens.
const TernaryKernel kDotNeonI8mm = {.name = "dot-neon-i8mm",
                                    .family = Family::kDot,
                                    .isa = Isa::kI8mm,
                                    .layout = &kTile16x4,
                                    .decode = DotRoutine<DecodeTile<TileSums>>::kTable,
                                    .prompt = DotRoutine<PromptTile>::kTable,
                                    .min_prompt_tokens = 4};

}  // namespace tern::kernels
