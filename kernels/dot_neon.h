#pragma once

// What the dot-product kernels for AArch64 have in common: decoding with `sdot`, and unpacking a strip for a prompt.
// Included by those kernels; all names are local to the including file (see kernels.h).
//
// `sdot` adds four products of signed bytes to a 32-bit lane. Codes are 0, 1, 2, where they lie in a byte up to 32:
// signed bytes too. The four activations of a plane are one lane of the register that holds a step's 16.

#include <arm_neon.h>

#include "kernels/dot_decode.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kVectorRows = 4;  // 32-bit lanes of a register
constexpr std::size_t kVectorBytes = 16;
constexpr std::size_t kTileVectors = kTileBytes / kVectorBytes;  // 4

inline int8x16_t load(const std::uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }

// --- one token --------------------------------------------------------------------------------------------------

/// Sums of 4 rows, by the scale of the codes.
struct ScaledSums {
  int32x4_t one = vdupq_n_s32(0);
  int32x4_t four = vdupq_n_s32(0);
  int32x4_t sixteen = vdupq_n_s32(0);

  /// Adds a step: four bytes of each row, times 16 activations.
  void add(uint8x16_t bytes, int8x16_t x) {
    one = vdotq_laneq_s32(one, masked(bytes, 0x03), x, 0);
    four = vdotq_laneq_s32(four, masked(bytes, 0x0C), x, 1);
    sixteen = vdotq_laneq_s32(sixteen, masked(bytes, 0x30), x, 2);
    one = vdotq_laneq_s32(one, vreinterpretq_s8_u8(vshrq_n_u8(bytes, 6)), x, 3);
  }
  /// Exact shifts: each sum is a multiple of its scale.
  [[nodiscard]] int32x4_t total() const { return vsraq_n_s32(vsraq_n_s32(one, four, 2), sixteen, 4); }

 private:
  static int8x16_t masked(uint8x16_t bytes, std::uint8_t mask) {
    return vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(mask)));
  }
};

/// Sums of the 16 rows of a tile, which DecodeTile asks for: 12 registers.
class TileSums {
 public:
  static constexpr std::size_t kMaxSteps = 32;  // 8 KB of weights, which stay in the first cache for four tiles
  static_assert(32 * 127 * 4 * kMaxSteps < (1UL << 31), "codes at scale 16 would overflow 32 bits: 5.2e5");
  static_assert(2 * 127 * kMaxCols < (1UL << 31), "the sums of a row would overflow 32 bits");

  static int8x16_t columns(const std::uint8_t* x) { return load(x); }
  void add(const std::uint8_t* tile, int8x16_t x) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kTileVectors; ++i) rows_[i].add(vld1q_u8(tile + i * kVectorBytes), x);
  }
  void add_to(std::int32_t* sums) const {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kTileVectors; ++i, sums += kVectorRows) {
      vst1q_s32(sums, vaddq_s32(vld1q_s32(sums), rows_[i].total()));
    }
  }

 private:
  ScaledSums rows_[kTileVectors];
};

// --- many tokens ------------------------------------------------------------------------------------------------

// A strip is unpacked to one code per byte for all tokens. It is multiplied by halves: 8 rows x 8 tokens have 16
// registers of sums.
constexpr std::size_t kPromptTokens = 8;
constexpr std::size_t kHalfRows = kTileRows / 2;

/// Unpacks a tile's steps one after the other. store(planes, out): what becomes of four rows, whose codes of plane j
/// are planes[j]; `out` is where the first of them has its first code of the step.
template <std::size_t kCols, typename Store>
void unpack_tile(const std::uint8_t* tile, std::size_t cols, std::uint8_t* strip, Store store) {
  const uint8x16_t field = vdupq_n_u8(3);
  const std::size_t n_steps = tile16x4::n_steps(cols);
  for (std::size_t s = 0; s < n_steps; ++s, tile += kStepBytes, strip += kStepCols * kTileRows) {
    __builtin_prefetch(tile + kNearBytes, 0, 3);
    for (std::size_t i = 0; i < kTileVectors; ++i) {
      const uint8x16_t v = vld1q_u8(tile + i * kVectorBytes);
      const uint8x16_t planes[] = {vandq_u8(v, field), vandq_u8(vshrq_n_u8(v, 2), field),
                                   vandq_u8(vshrq_n_u8(v, 4), field), vshrq_n_u8(v, 6)};
      store(planes, strip + i * kVectorRows * kCols);
    }
  }
}

}  // namespace
}  // namespace tern::kernels
