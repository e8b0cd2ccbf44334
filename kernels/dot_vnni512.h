#pragma once

// Inner tiles of the dot-product kernels with 512-bit registers. Included by those kernels; all names are local to the
// including file (see kernels.h).
//
// `vpdpbusd` adds four products of unsigned bytes (codes 0, 1, 2) with signed bytes (activations) to a 32-bit lane,
// without saturation. A tile is 16 rows x 4 columns of codes, one register; four activations are broadcast to it.

#include <immintrin.h>

#include "kernels/dot_loops.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kTileRows = 16;
constexpr std::size_t kTileBytes = 64;
constexpr std::size_t kBlockTiles = kBlockRows / kTileRows;
constexpr std::size_t kStepBytes = kBlockTiles * kTileBytes;  // weights of a block that are decoded together

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

/// sum += codes * quad, per 32-bit lane. Written out: of the intrinsic, GCC 12 makes copies of the sums, more than
/// registers can hold.
inline void add_products(__m512i& sum, __m512i codes, __m512i quad) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(quad));
}
/// The same with four activations in memory.
inline void add_products(__m512i& sum, __m512i codes, const std::uint8_t* quad) {
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(codes), "m"(*reinterpret_cast<const std::int32_t*>(quad)));
}
/// Has the address in a register: GCC would keep one for each of the addresses made from it.
inline void keep(const std::uint8_t*& p) { asm("" : "+r"(p)); }

// --- codes multiplied as they are decoded -------------------------------------------------------------------------

/// A run of steps over which activations lie regularly: step s, digit j meets columns s * step_cols + j * digit_cols
/// and the three that follow. At most kSpanSteps steps.
struct Span {
  std::size_t n_steps;
  std::size_t step_cols;
  std::size_t digit_cols;
};
constexpr std::size_t kSpanSteps = 16;
constexpr std::size_t kSpanBytes = kSpanSteps * kStepBytes;

constexpr std::size_t kFields = 4;  // digits in the 2-bit fields of a byte

/// Codes of one tile: four digits in the fields of `fields`, low bits first, and for some layouts one more.
struct Codes {
  __m512i fields;
  __m512i extra;
};

// A field is multiplied where it lies, scaled by 1, 4, 16 or 64: codes up to 2 * 64. Per step, a lane of the highest
// plane takes four products. Lower planes take up to 20, of codes that are smaller by more.
constexpr std::size_t kMaxSpans = 2048;
static_assert(kMaxSpans * kSpanSteps * 4 * 128 * 127 < (1UL << 31), "a 32-bit lane would overflow: 2.13e9");

/// Sums of kTiles tiles with kN tokens. Few tokens leave registers for a sum per scale; with more, fields are shifted.
template <typename Decoder, std::size_t kN>
struct BatchSums {
  static constexpr std::size_t kTiles = kN <= 3 ? 4 : 2;
  static constexpr std::size_t kPlanes = kN == 1 ? 4 : kN == 2 || kN == 4 || kN == 5 ? 2 : 1;

  __m512i sum[kTiles][kN][kPlanes] = {};

  /// Adds the products of one digit. codes: per tile
  void add_digit(const __m512i (&codes)[kTiles], const std::uint8_t* quads, std::size_t plane) {
    keep(quads);
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kN; ++t) {
      const __m512i quad = broadcast(quads + t * kQuad);
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kTiles; ++i) add_products(sum[i][t][plane], codes[i], quad);
    }
  }

  /// Tiles `first` on of one step.
  void add_step(const Decoder& decoder, const std::uint8_t* weights, const std::uint8_t* quads, std::size_t first,
                std::size_t digit_bytes) {
    __m512i fields[kTiles];
    decoder.load(weights, first, fields);
    if constexpr (Decoder::kDigits > kFields) {
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kTiles; ++i) {
        const Codes codes = decoder.decode(fields[i]);
        fields[i] = codes.fields;
#pragma GCC unroll 8
        for (std::size_t t = 0; t < kN; ++t) add_products(sum[i][t][0], codes.extra, quads + t * kQuad);
      }
      quads += digit_bytes;
    }
#pragma GCC unroll 4
    for (std::size_t j = 0; j < kFields; ++j) {
      const auto mask = static_cast<char>(3U << (2 * (j % kPlanes)));
      __m512i codes[kTiles];
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kTiles; ++i) {
        const __m512i shifted = _mm512_srli_epi16(fields[i], 2 * static_cast<unsigned>(j / kPlanes * kPlanes));
        codes[i] = _mm512_and_si512(shifted, _mm512_set1_epi8(mask));
      }
      add_digit(codes, quads + j * digit_bytes, j % kPlanes);
    }
  }

  void add_span(const Decoder& decoder, const std::uint8_t* weights, const std::uint8_t* quads, std::size_t first,
                Span span, BlockAhead& ahead) {
    constexpr std::size_t kFetchSteps = BlockAhead::kRuns / kTiles;  // as many lines are fetched as are read
    for (std::size_t s = 0; s < span.n_steps; ++s, weights += kStepBytes, quads += span.step_cols * kN) {
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kTiles; ++i) {
        _mm_prefetch(weights + (first + i) * kTileBytes + kNearBytes, _MM_HINT_T0);
      }
      if (s % kFetchSteps == 0) ahead.fetch();
      add_step(decoder, weights, quads, first, span.digit_cols * kN);
    }
  }

  /// sums: (kN, kBlockRows), the rows from tile `first` on
  void add_to(std::int32_t* sums, std::size_t first) const {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kTiles; ++i) {
#pragma GCC unroll 8
      for (std::size_t t = 0; t < kN; ++t) {
        std::int32_t* to = sums + t * kBlockRows + (first + i) * kTileRows;
        __m512i total = _mm512_load_si512(to);
#pragma GCC unroll 4
        for (std::size_t j = 0; j < kPlanes; ++j) {  // exact: each plane's sum is a multiple of its scale
          total = _mm512_add_epi32(total, _mm512_srai_epi32(sum[i][t][j], 2 * static_cast<unsigned>(j)));
        }
        _mm512_store_si512(to, total);
      }
    }
  }
};

/// One to eight tokens: the weights of a block are read once for all of them.
template <typename Decoder>
struct BatchTile : PackedStrip<typename Decoder::Columns, 8> {
  template <std::size_t kN>
  static void add(const std::uint8_t* weights, const std::uint8_t* quads, std::size_t cols, BlockAhead& ahead,
                  std::int32_t* sums) {
    using Sums = BatchSums<Decoder, kN>;
    // Where registers hold half a block, each span is read twice, the second time from the first cache.
    constexpr std::size_t kSpans = Sums::kTiles == kBlockTiles ? kMaxSpans : 1;
    constexpr std::size_t kCols = kSpans * Decoder::kSpanCols;
    for (std::size_t begin = 0; begin < cols; begin += kCols) {
      const std::size_t n = cols - begin < kCols ? cols - begin : kCols;
      for (std::size_t first = 0; first < kBlockTiles; first += Sums::kTiles) {
        add_spans<kN>(weights, quads, n, {first, ahead}, sums);
      }
      weights += kSpans * kSpanBytes;
      quads += kCols * kN;
    }
  }

 private:
  /// The tiles of a block from `first` on, as many as registers hold.
  struct Half {
    std::size_t first;
    BlockAhead& ahead;
  };
  template <std::size_t kN>
  [[gnu::noinline]] static void add_spans(const std::uint8_t* weights, const std::uint8_t* quads, std::size_t cols,
                                          Half half, std::int32_t* sums) {
    const Decoder decoder;
    BatchSums<Decoder, kN> batch;
    for (std::size_t c = 0; c < cols; c += Decoder::kSpanCols) {
      batch.add_span(decoder, weights, quads, half.first, Decoder::span(cols - c), half.ahead);
      weights += kSpanBytes;
      quads += Decoder::kSpanCols * kN;
    }
    batch.add_to(sums, half.first);
  }
};

// --- codes unpacked first -------------------------------------------------------------------------------------------

static_assert(2 * 127 * kMaxCols < (std::size_t{1} << 31), "a 32-bit lane would overflow");

constexpr std::size_t kStripTiles = 2;

/// Many tokens: a strip of 32 rows is unpacked to one code per byte, (padded columns / 4, 2 tiles, 64 bytes). With 8
/// tokens, there are 16 accumulators.
template <typename Unpacker>
struct PromptTile : UnpackedStrip<typename Unpacker::Columns, kStripTiles * kTileRows, 8> {
  using Strip = UnpackedStrip<typename Unpacker::Columns, kStripTiles * kTileRows, 8>;
  using Strip::kRows;

  static const std::uint8_t* strip(const std::uint8_t* chunk, std::size_t row, std::size_t cols,
                                   std::uint8_t* scratch) {
    Unpacker::unpack(chunk, row / kTileRows, cols, scratch);
    return scratch;
  }

  template <std::size_t kN>
  static void add(const std::uint8_t* strip, const std::uint8_t* quads, std::size_t cols, BlockAhead& /*ahead*/,
                  std::int32_t* sums) {
    __m512i a[kN];
    __m512i b[kN];
    for (std::size_t t = 0; t < kN; ++t) {
      a[t] = _mm512_load_si512(sums + t * kRows);
      b[t] = _mm512_load_si512(sums + t * kRows + kTileRows);
    }
    const std::size_t n_quads = Strip::Columns::padded(cols) / kQuad;
    for (std::size_t q = 0; q < n_quads; ++q, strip += kStripTiles * kTileBytes, quads += kN * kQuad) {
      const __m512i upper = _mm512_load_si512(strip);
      const __m512i lower = _mm512_load_si512(strip + kTileBytes);
#pragma GCC unroll 8
      for (std::size_t t = 0; t < kN; ++t) {
        const __m512i quad = broadcast(quads + t * kQuad);
        add_products(a[t], upper, quad);
        add_products(b[t], lower, quad);
      }
    }
    for (std::size_t t = 0; t < kN; ++t) {
      _mm512_store_si512(sums + t * kRows, a[t]);
      _mm512_store_si512(sums + t * kRows + kTileRows, b[t]);
    }
  }
};

}  // namespace
}  // namespace tern::kernels
