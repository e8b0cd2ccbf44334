#pragma once

// What the dot-product kernels for AArch64 have in common: decoding with `sdot`, and how a prompt's product is cut up.
// All names are local to the including file (see kernels.h).
//
// `sdot` adds four products of signed bytes to a 32-bit lane. Codes are 0, 1, 2, where they lie in a byte up to 32:
// signed bytes too. The four activations of a plane are one lane of the register that holds a step's 16.

#include <arm_neon.h>

#include "kernels/dot_neon_operand.h"
#include "kernels/weights_at.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kRowsPerVector = 4;  // 32-bit lanes of a register
constexpr std::size_t kVectorBytes = 16;
constexpr std::size_t kTileVectors = tile16x4::kTileBytes / kVectorBytes;  // 4

// --- one token --------------------------------------------------------------------------------------------------

using DecodeOperand = DotOperand<1>;

// Sums of the 16 rows of a tile, at three scales, are 12 registers; those of a block would not fit. So tiles take
// turns, in runs that stay in the first cache.
constexpr std::size_t kRunSteps = 32;  // 8 KB of a block
static_assert(32 * 127 * 4 * kRunSteps < (1UL << 31), "codes at scale 16 would overflow 32 bits: 5.2e5");
static_assert(2 * 127 * kMaxCols < (1UL << 31), "the sums of a row would overflow 32 bits");

// Two prefetches a cache line: a far one into the second cache, which hides the memory, and a near one into the first.
constexpr std::size_t kFarBytes = 16384;  // bytes
constexpr std::size_t kNearBytes = 4096;  // bytes

inline void prefetch(const std::uint8_t* p) {
  __builtin_prefetch(p + kFarBytes, 0, 2);
  __builtin_prefetch(p + kNearBytes, 0, 3);
}

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

/// Adds `n_steps` <= kRunSteps steps to the sums of one tile. sums: (16).
template <bool kPrefetch>
void add_run(const std::uint8_t* weights, const std::uint8_t* x, std::size_t n_steps, std::int32_t* sums) {
  ScaledSums run[kTileVectors];
  for (std::size_t s = 0; s < n_steps; ++s, weights += tile16x4::kStepBytes, x += tile16x4::kStepCols) {
    for (std::size_t i = 0; kPrefetch && i < tile16x4::kTiles; ++i) {
      prefetch(weights + i * tile16x4::kTileBytes);
    }
    const int8x16_t columns = vreinterpretq_s8_u8(vld1q_u8(x));
    for (std::size_t i = 0; i < kTileVectors; ++i) {
      run[i].add(vld1q_u8(weights + i * kVectorBytes), columns);
    }
  }
  for (const ScaledSums& rows : run) {
    vst1q_s32(sums, vaddq_s32(vld1q_s32(sums), rows.total()));
    sums += kRowsPerVector;
  }
}

/// sums: (64), the products of one block of rows with one token.
void multiply_block(const std::uint8_t* weights, const std::uint8_t* token, std::size_t cols, std::int32_t* sums) {
  const int32x4_t start = vdupq_n_s32(-*DecodeOperand::sums(token, cols));
  for (std::size_t i = 0; i < tile16x4::kRows; i += kRowsPerVector) {
    vst1q_s32(sums + i, start);
  }
  const std::size_t n_steps = tile16x4::n_steps(cols);
  for (std::size_t s = 0; s < n_steps; s += kRunSteps) {
    const std::size_t n = n_steps - s < kRunSteps ? n_steps - s : kRunSteps;
    for (std::size_t i = 0; i < tile16x4::kTiles; ++i) {
      const auto add = i == 0 ? add_run<true> : add_run<false>;
      add(weights + s * tile16x4::kStepBytes + i * tile16x4::kTileBytes, token + s * tile16x4::kStepCols, n,
          sums + i * tile16x4::kTileRows);
    }
  }
}

std::size_t no_scratch(std::size_t /*cols*/) { return 0; }

/// Long enough for the threads to share work out cheaply, short enough to share it out evenly.
Grain decode_grain(std::size_t n_tokens, std::size_t /*cols*/) {
  return {4 * tile16x4::kRows, n_tokens, tile16x4::kRows};
}

void multiply_tokens(const TernaryProduct& p) {
  for (std::size_t r = p.row_begin; r < p.row_end; r += tile16x4::kRows) {
    const std::uint8_t* weights = weights_at(p, r / tile16x4::kRows, tile16x4::block_bytes(p.cols));
    const std::size_t n_rows = p.row_end - r < tile16x4::kRows ? p.row_end - r : tile16x4::kRows;
    for (std::size_t t = p.token_begin; t < p.token_end; ++t) {
      alignas(64) std::int32_t sums[tile16x4::kRows];
      multiply_block(weights, p.operand + t * DecodeOperand::block_bytes(p.cols), p.cols, sums);
      p.sink.take(p.sink.context, t, r, n_rows, sums);
    }
  }
}

// --- many tokens ------------------------------------------------------------------------------------------------

// A micro-tile is 8 rows x 8 tokens: 16 registers of sums. The 16 rows of a tile are unpacked once for all tokens, to
// one code per byte, and multiplied by halves.
constexpr std::size_t kTokens = 8;
constexpr std::size_t kHalfRows = tile16x4::kTileRows / 2;

[[nodiscard]] inline std::size_t half_bytes(std::size_t cols) { return tile16x4::padded_cols(cols) * kHalfRows; }
std::size_t strip_bytes(std::size_t cols) { return 2 * half_bytes(cols); }

/// The codes of plane j in every byte.
struct UnpackedCodes {
  uint8x16_t plane[tile16x4::kPlanes];
};

inline UnpackedCodes unpack(uint8x16_t bytes) {
  const uint8x16_t field = vdupq_n_u8(3);
  return {{vandq_u8(bytes, field), vandq_u8(vshrq_n_u8(bytes, 2), field), vandq_u8(vshrq_n_u8(bytes, 4), field),
           vshrq_n_u8(bytes, 6)}};
}

inline int8x16_t load(const std::uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }

/// Tokens stay together: a tile is unpacked once for all of them.
Grain prompt_grain(std::size_t n_tokens, std::size_t /*cols*/) { return {tile16x4::kRows, n_tokens, tile16x4::kRows}; }

/// Multiplies the unpacked tile in p.scratch, which begins at row r, with all tokens.
template <class MicroTile>
void multiply_tile(const TernaryProduct& p, std::size_t r) {
  constexpr std::size_t kRows = tile16x4::kTileRows;
  const std::size_t n_rows = p.row_end - r < kRows ? p.row_end - r : kRows;
  for (std::size_t begin = p.token_begin; begin < p.token_end; begin += kTokens) {
    const std::uint8_t* block = p.operand + begin / kTokens * DotOperand<kTokens>::block_bytes(p.cols);
    alignas(64) std::int32_t sums[kTokens * kRows];
    MicroTile::multiply(p.scratch, block, p.cols, sums);
    MicroTile::multiply(p.scratch + half_bytes(p.cols), block, p.cols, sums + kHalfRows);
    for (std::size_t t = 0; t < kTokens && begin + t < p.token_end; ++t) {
      p.sink.take(p.sink.context, begin + t, r, n_rows, sums + t * kRows);
    }
  }
}

/// MicroTile unpacks a tile, and multiplies half of it with a token block.
template <class MicroTile>
void multiply_prompt(const TernaryProduct& p) {
  for (std::size_t r = p.row_begin; r < p.row_end; r += tile16x4::kTileRows) {
    const std::uint8_t* block = weights_at(p, r / tile16x4::kRows, tile16x4::block_bytes(p.cols));
    const std::size_t tile = r % tile16x4::kRows / tile16x4::kTileRows;
    MicroTile::unpack(block + tile * tile16x4::kTileBytes, p.cols, p.scratch);
    multiply_tile<MicroTile>(p, r);
  }
}

}  // namespace
}  // namespace tern::kernels
