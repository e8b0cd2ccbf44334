#pragma once

// What the dot-product kernels with 256-bit registers share. Included by those kernels; all names are local to the
// including file (see kernels.h).

#include <immintrin.h>

#include "kernels/dot_decode.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kHalfRows = kTileRows / 2;  // of one register
constexpr std::size_t kHalfBytes = kTileBytes / 2;

constexpr std::size_t kFarBytes = 8192;  // bytes ahead, into the second cache

inline void prefetch(const std::uint8_t* p) {
  _mm_prefetch(p + kFarBytes, _MM_HINT_T1);
  _mm_prefetch(p + kNearBytes, _MM_HINT_T0);
}

inline __m256i load(const void* p) { return _mm256_load_si256(static_cast<const __m256i*>(p)); }
inline void store(void* p, __m256i v) { _mm256_store_si256(static_cast<__m256i*>(p), v); }
inline void add_to(std::int32_t* sums, __m256i v) { store(sums, _mm256_add_epi32(load(sums), v)); }

/// Four bytes in every 32-bit lane.
inline __m256i broadcast(const std::uint8_t* p) {
  std::int32_t quad = 0;
  std::memcpy(&quad, p, sizeof quad);
  return _mm256_set1_epi32(quad);
}

/// The columns of one step, 4 to a register.
struct StepQuads {
  explicit StepQuads(const std::uint8_t* p)
      : of{broadcast(p), broadcast(p + kQuad), broadcast(p + 2 * kQuad), broadcast(p + 3 * kQuad)} {}
  __m256i of[kPlanes];
};

/// Sums of the 16 rows of a tile, which DecodeTile asks for. `HalfSums` holds those of 8 rows over at most kMaxSteps
/// steps: add() takes the codes of a step, total() gives the sums in 32 bits.
template <typename HalfSums>
class TileSums {
 public:
  static constexpr std::size_t kMaxSteps = HalfSums::kMaxSteps;

  static StepQuads columns(const std::uint8_t* x) { return StepQuads(x); }
  void add(const std::uint8_t* tile, const StepQuads& x) {
    upper_.add(load(tile), x);
    lower_.add(load(tile + kHalfBytes), x);
  }
  void add_to(std::int32_t* sums) const {
    tern::kernels::add_to(sums, upper_.total());
    tern::kernels::add_to(sums + kHalfRows, lower_.total());
  }

 private:
  HalfSums upper_;
  HalfSums lower_;
};

/// Many tokens: a strip of 16 rows is unpacked to one code per byte, (padded columns / 4, 64 bytes). `Products` knows
/// how to add products of one code per byte, over at most kMaxQuads steps of four columns.
template <typename Products, std::size_t kBlockTokens>
struct PromptTile : UnpackedStrip<Tile16x4Columns, kTileRows, kBlockTokens> {
  using Strip = UnpackedStrip<Tile16x4Columns, kTileRows, kBlockTokens>;
  using Strip::kRows;

  static const std::uint8_t* strip(const std::uint8_t* block, std::size_t row, std::size_t cols,
                                   std::uint8_t* scratch) {
    const std::uint8_t* weights = block + row / kTileRows * kTileBytes;
    const __m256i field = _mm256_set1_epi8(3);
    std::uint8_t* out = scratch;
    for (std::size_t s = 0; s < tile16x4::n_steps(cols); ++s, weights += kStepBytes, out += kPlanes * kTileBytes) {
      prefetch(weights);
      for (std::size_t i = 0; i < kTileBytes; i += kHalfBytes) {
        const __m256i v = load(weights + i);
        store(out + i, _mm256_and_si256(v, field));
        store(out + kTileBytes + i, _mm256_and_si256(_mm256_srli_epi16(v, 2), field));
        store(out + 2 * kTileBytes + i, _mm256_and_si256(_mm256_srli_epi16(v, 4), field));
        store(out + 3 * kTileBytes + i, _mm256_and_si256(_mm256_srli_epi16(v, 6), field));
      }
    }
    return scratch;
  }

  template <std::size_t kN>
  static void add(const std::uint8_t* strip, const std::uint8_t* quads, std::size_t cols, BlockAhead& /*ahead*/,
                  std::int32_t* sums) {
    const std::size_t n_quads = Strip::Columns::padded(cols) / kQuad;
    for (std::size_t q = 0; q < n_quads; q += Products::kMaxQuads) {
      add_quads<kN>(strip + q * kTileBytes, quads + q * kN * kQuad,
                    n_quads - q < Products::kMaxQuads ? n_quads - q : Products::kMaxQuads, sums);
    }
  }

 private:
  template <std::size_t kN>
  static void add_quads(const std::uint8_t* strip, const std::uint8_t* quads, std::size_t n_quads, std::int32_t* sums) {
    __m256i a[kN] = {};
    __m256i b[kN] = {};
    for (std::size_t q = 0; q < n_quads; ++q, strip += kTileBytes, quads += kN * kQuad) {
      const __m256i upper = load(strip);
      const __m256i lower = load(strip + kHalfBytes);
#pragma GCC unroll 8
      for (std::size_t t = 0; t < kN; ++t) {
        const __m256i quad = broadcast(quads + t * kQuad);
        Products::add(a[t], upper, quad);
        Products::add(b[t], lower, quad);
      }
    }
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kN; ++t) {
      add_to(sums + t * kRows, Products::total(a[t]));
      add_to(sums + t * kRows + kHalfRows, Products::total(b[t]));
    }
  }
};

}  // namespace
}  // namespace tern::kernels
