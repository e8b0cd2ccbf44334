#pragma once

// What the dot-product kernels for AArch64 have in common: decoding with `sdot`, and unpacking a strip for a prompt.
// Included by those kernels; all names are local to the including file (see kernels.h).
//
// `sdot` adds four products of signed bytes to a 32-bit lane. Codes are 0, 1, 2, where they lie in a byte up to 32:
// signed bytes too. The four activations of a plane are one lane of the register that holds a step's 16.

#include <arm_neon.h>

#include "kernels/block_ahead.h"
#include "kernels/dot_loops.h"

namespace tern::kernels {
namespace {

using tile16x4::kStepBytes;
using tile16x4::kTileBytes;
using tile16x4::kTileRows;

constexpr std::size_t kVectorRows = 4;  // 32-bit lanes of a register
constexpr std::size_t kVectorBytes = 16;
constexpr std::size_t kTileVectors = kTileBytes / kVectorBytes;  // 4

constexpr std::size_t kNearBytes = 1024;  // bytes ahead, into the first cache

inline int8x16_t load(const std::uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }

// --- one token --------------------------------------------------------------------------------------------------

// Sums of the 16 rows of a tile, at three scales, are 12 registers; those of a block would not fit. So tiles take
// turns, in runs that stay in the first cache.
constexpr std::size_t kRunSteps = 32;  // 8 KB of a block
static_assert(32 * 127 * 4 * kRunSteps < (1UL << 31), "codes at scale 16 would overflow 32 bits: 5.2e5");
static_assert(2 * 127 * kMaxCols < (1UL << 31), "the sums of a row would overflow 32 bits");

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

/// One token: codes are multiplied as they are decoded.
struct DecodeTile : PackedStrip<Tile16x4Columns, 1> {
  template <std::size_t kN>
  static void add(const std::uint8_t* weights, const std::uint8_t* x, std::size_t cols, std::int32_t* sums) {
    const std::size_t n_steps = tile16x4::n_steps(cols);
    BlockAhead ahead(weights + n_steps * kStepBytes, n_steps * kStepBytes);
    for (std::size_t s = 0; s < n_steps; s += kRunSteps) {
      const std::size_t n = n_steps - s < kRunSteps ? n_steps - s : kRunSteps;
      for (std::size_t i = 0; i < tile16x4::kTiles; ++i) {
        add_run(weights + s * kStepBytes + i * kTileBytes, x + s * tile16x4::kStepCols, n, ahead, sums + i * kTileRows);
      }
    }
  }

 private:
  /// Adds `n_steps` <= kRunSteps steps to the sums of one tile. sums: (16).
  static void add_run(const std::uint8_t* weights, const std::uint8_t* x, std::size_t n_steps, BlockAhead& ahead,
                      std::int32_t* sums) {
    ScaledSums run[kTileVectors];
    for (std::size_t s = 0; s < n_steps; ++s, weights += kStepBytes, x += tile16x4::kStepCols) {
      const int8x16_t columns = load(x);
      if (s % BlockAhead::kRuns == 0) ahead.fetch();  // as many lines as are read
      __builtin_prefetch(weights + kNearBytes, 0, 3);
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kTileVectors; ++i) run[i].add(vld1q_u8(weights + i * kVectorBytes), columns);
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kTileVectors; ++i, sums += kVectorRows) {
      vst1q_s32(sums, vaddq_s32(vld1q_s32(sums), run[i].total()));
    }
  }
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
  for (std::size_t s = 0; s < n_steps; ++s, tile += kStepBytes, strip += tile16x4::kStepCols * kTileRows) {
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
