#pragma once

// Decoding layout e5 for AMX. Included by that kernel; all names are local to the including file (see kernels.h).
//
// A strip is 32 rows, half of a block of the layout. A span of it is decoded to a panel of one byte per digit, whose
// columns stand in their order:
//
//     panel         | columns 0-63: rows 0-15, rows 16-31 | columns 64-127: .. | ...     tiles of 1 KB, see
//                                                                                        dot_amx_tiles.h
//
// A digit of all groups is a run of columns, of a whole span 64 of them. In a shorter one, digits begin and end
// anywhere in a tile.

#include <immintrin.h>

#include "kernels/dot_amx_tiles.h"
#include "kernels/layout_e5.h"

namespace tern::kernels {
namespace {
namespace amx {

constexpr std::size_t kStripTiles = 2;
constexpr std::size_t kStripRows = kStripTiles * kTileRows;
constexpr std::size_t kColsBytes = kStripTiles * kTileBytes;  // of 64 columns of a panel
constexpr std::size_t kPanelBytes = e5::kSpanCols / kTileCols * kColsBytes;
constexpr std::size_t kSpanSteps = e5::kSpanGroups / e5::kGroupsTogether;
constexpr std::size_t kTileLines = kTileCols / 4;  // of four columns each
static_assert(kSpanSteps == kTileLines, "a digit of a whole span would not be a tile");
constexpr std::size_t kStepBytes = e5::kGroupsTogether * e5::kRows;  // of a block: four groups are decoded together

constexpr std::size_t kNearBytes = 512;  // what is decoded soon is fetched into the first cache

constexpr e5::Tables plus(e5::Tables tables, unsigned constant) {
  for (std::uint8_t& a : tables.a) a = static_cast<std::uint8_t>(a + constant);
  return tables;
}
// Digits 1-4 plus two, 1, 2, 3, in two bits each, and digit 0, for which the table of the whole byte is zero.
constexpr e5::Tables kFieldTables = plus(e5::make_tables(0, 1, 4, 16, 64), 2 * (1 + 4 + 16 + 64));
constexpr e5::Tables kFirstTables = e5::make_tables(1, 0, 0, 0, 0);

/// Lines of a panel for the digits of four groups.
struct DigitLines {
  std::uint8_t* of[e5::kGroupCols];

  /// Of step `s` of a span of `n_steps`.
  DigitLines(std::uint8_t* panel, std::size_t s, std::size_t n_steps) {
    for (std::size_t j = 0; j < e5::kGroupCols; ++j) {
      const std::size_t line = j * n_steps + s;
      of[j] = panel + line / kTileLines * kColsBytes + line % kTileLines * kLineBytes;
    }
  }
};

/// What turns bytes of the layout into lines of a panel.
class Decoder {
 public:
  /// Four groups of half a block, to lines of both row tiles of a panel. weights: of the whole block
  template <std::size_t kHalf>
  void decode_step(const std::uint8_t* weights, const DigitLines& lines) const {
    for (std::size_t i = 0; kHalf == 0 && i < e5::kGroupsTogether; ++i) {
      _mm_prefetch(weights + kNearBytes + i * e5::kRows, _MM_HINT_T0);
    }
    const auto group = [weights](std::size_t i) { return _mm512_load_si512(weights + i * e5::kRows); };
    const auto interleave = [](__m512i a, __m512i b) {
      return kHalf == 0 ? _mm512_unpacklo_epi8(a, b) : _mm512_unpackhi_epi8(a, b);
    };
    const __m512i first = interleave(group(0), group(1));
    const __m512i second = interleave(group(2), group(3));
    decode(_mm512_unpacklo_epi16(first, second), lines, 0);
    decode(_mm512_unpackhi_epi16(first, second), lines, kTileBytes);
  }

 private:
  void decode(__m512i bytes, const DigitLines& lines, std::size_t row_tile) const {
    const __m512i high = _mm512_srli_epi16(bytes, 2);  // look-ups ignore the two bits of the neighbour
    const __m512i fields =
        _mm512_add_epi8(_mm512_permutexvar_epi8(high, fields_a_), _mm512_permutexvar_epi8(bytes, fields_b_));
    _mm512_store_si512(lines.of[0] + row_tile, _mm512_permutexvar_epi8(high, first_));
    _mm512_store_si512(lines.of[1] + row_tile, pick<0>(fields));
    _mm512_store_si512(lines.of[2] + row_tile, pick<2>(fields));
    _mm512_store_si512(lines.of[3] + row_tile, pick<4>(fields));
    _mm512_store_si512(lines.of[4] + row_tile, pick<6>(fields));
  }

  /// The digit of bits kShift and kShift + 1 of every byte, which are 1, 2, 3. A matrix of bits does it in one
  /// instruction: its byte 7 picks the lowest bit of the result; all others are those of the sign, the inverse of the
  /// higher bit.
  template <unsigned kShift>
  static __m512i pick(__m512i v) {
    constexpr std::uint64_t kSigns = 0x00010101'01010101U;
    constexpr std::uint64_t kMatrix = std::uint64_t{1} << (56 + kShift) | kSigns << (1 + kShift);
    constexpr int kInverse = 0xFE;
    return _mm512_gf2p8affine_epi64_epi8(v, _mm512_set1_epi64(static_cast<long long>(kMatrix)), kInverse);
  }

  __m512i fields_a_ = _mm512_loadu_si512(kFieldTables.a);
  __m512i fields_b_ = _mm512_loadu_si512(kFieldTables.b);
  __m512i first_ = _mm512_loadu_si512(kFirstTables.a);
};

/// Where a strip's span lies, and how long it is.
struct StripSpan {
  const std::uint8_t* weights;  // of the block
  std::size_t half;
  std::size_t n_steps;
};

/// A whole span has a constant number of steps, and so each digit its own tile.
template <std::size_t kHalf>
inline void decode_half(const Decoder& decoder, const StripSpan& span, std::size_t begin, std::size_t end,
                        std::uint8_t* panel) {
  const bool is_whole = span.n_steps == kSpanSteps;
  for (std::size_t s = begin; s < end; ++s) {
    const DigitLines lines = is_whole ? DigitLines(panel, s, kSpanSteps) : DigitLines(panel, s, span.n_steps);
    decoder.decode_step<kHalf>(span.weights + s * kStepBytes, lines);
  }
}

/// Decodes the steps [begin, end). Lines beyond the columns of a span are left as they are: they meet zeros.
inline void decode_steps(const Decoder& decoder, const StripSpan& span, std::size_t begin, std::size_t end,
                         std::uint8_t* panel) {
  if (span.half == 0) {
    decode_half<0>(decoder, span, begin, end, panel);
  } else {
    decode_half<1>(decoder, span, begin, end, panel);
  }
}

}  // namespace amx
}  // namespace
}  // namespace tern::kernels
