// Dot-product kernel for AVX-512 VNNI and VBMI: `vpermb` decodes the bytes of five digits, `vpdpbusd` multiplies.
#include "kernels/dot_vnni512.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

/// Adds `n` to every entry of a table, modulo 256.
constexpr e5::Tables raised(e5::Tables tables, unsigned n) {
  for (std::uint8_t& entry : tables.a) entry = static_cast<std::uint8_t>(entry + n);
  return tables;
}

/// Digits 2 to 5 in fields of two bits, plus one in each: 0, 1, 2 for -1, 0, 1.
alignas(64) constexpr e5::Tables kFieldTables = raised(e5::make_tables(0, 1, 4, 16, 64), 1 + 4 + 16 + 64);
/// Digit 1, which table a knows by itself.
alignas(64) constexpr e5::Tables kFirstTables = raised(e5::make_tables(1, 0, 0, 0, 0), 1);

struct E5Decoder {
  using Columns = E5Columns;
  static constexpr std::size_t kDigits = e5::kGroupCols;
  static constexpr std::size_t kSpanCols = e5::kSpanCols;
  static_assert(e5::kSpanGroups * e5::kRows == kSpanBytes);

  /// A step is four groups, 20 columns.
  static Span span(std::size_t cols) {
    const std::size_t n_groups = e5::span_groups(cols);
    return {n_groups / kQuad, kQuad, n_groups};
  }

  /// Has the bytes of four groups side by side in each row's lane. Tiles `first` on, 2 or 4 of them.
  template <std::size_t kTiles>
  static void load(const std::uint8_t* weights, std::size_t first, __m512i (&tiles)[kTiles]) {
    const __m512i group[4] = {_mm512_load_si512(weights), _mm512_load_si512(weights + 64),
                              _mm512_load_si512(weights + 128), _mm512_load_si512(weights + 192)};
    if (kTiles == kBlockTiles || first == 0) {
      const __m512i a = _mm512_unpacklo_epi8(group[0], group[1]);
      const __m512i b = _mm512_unpacklo_epi8(group[2], group[3]);
      tiles[0] = _mm512_unpacklo_epi16(a, b);
      tiles[1] = _mm512_unpackhi_epi16(a, b);
    }
    if (kTiles == kBlockTiles || first != 0) {
      const __m512i a = _mm512_unpackhi_epi8(group[0], group[1]);
      const __m512i b = _mm512_unpackhi_epi8(group[2], group[3]);
      tiles[kTiles - 2] = _mm512_unpacklo_epi16(a, b);
      tiles[kTiles - 1] = _mm512_unpackhi_epi16(a, b);
    }
  }

  [[nodiscard]] Codes decode(__m512i bytes) const {
    const __m512i index = _mm512_srli_epi16(bytes, 2);  // vpermb ignores the two high bits of an index
    return {_mm512_add_epi8(_mm512_permutexvar_epi8(index, a), _mm512_permutexvar_epi8(bytes, b)),
            _mm512_permutexvar_epi8(index, first)};
  }

  __m512i a = _mm512_load_si512(kFieldTables.a);
  __m512i b = _mm512_load_si512(kFieldTables.b);
  __m512i first = _mm512_load_si512(kFirstTables.a);
};

struct E5Unpacker {
  using Columns = E5Columns;

  /// strip: (padded columns / 4, 2 tiles, 64 bytes), the tiles from `first` on.
  static void unpack(const std::uint8_t* block, std::size_t first, std::size_t cols, std::uint8_t* strip) {
    const E5Decoder decoder;
    for (std::size_t c = 0; c < cols; c += e5::kSpanCols) {
      const Span span = E5Decoder::span(cols - c);
      const std::size_t digit_bytes = span.digit_cols / kQuad * kStripTiles * kTileBytes;
      for (std::size_t s = 0; s < span.n_steps; ++s, block += kStepBytes) {
        unpack_step(decoder, block, first, strip + s * kStripTiles * kTileBytes, digit_bytes);
      }
      strip += e5::kGroupCols * digit_bytes;
    }
  }

 private:
  static void unpack_step(const E5Decoder& decoder, const std::uint8_t* weights, std::size_t first, std::uint8_t* strip,
                          std::size_t digit_bytes) {
    const __m512i mask = _mm512_set1_epi8(3);
    __m512i tiles[kStripTiles];
    decoder.load(weights, first, tiles);
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kBlockTiles; ++i) prefetch(weights + i * kTileBytes);
    for (std::size_t i = 0; i < kStripTiles; ++i) {
      const Codes codes = decoder.decode(tiles[i]);
      std::uint8_t* out = strip + i * kTileBytes;
      _mm512_store_si512(out, codes.extra);
      _mm512_store_si512(out + digit_bytes, _mm512_and_si512(codes.fields, mask));
      _mm512_store_si512(out + 2 * digit_bytes, _mm512_and_si512(_mm512_srli_epi16(codes.fields, 2), mask));
      _mm512_store_si512(out + 3 * digit_bytes, _mm512_and_si512(_mm512_srli_epi16(codes.fields, 4), mask));
      _mm512_store_si512(out + 4 * digit_bytes, _mm512_and_si512(_mm512_srli_epi16(codes.fields, 6), mask));
    }
  }
};

}  // namespace

const TernaryKernel kDotAvx512Vbmi = {.name = "dot-avx512vbmi",
                                      .family = Family::kDot,
                                      .isa = Isa::kAvx512Vbmi,
                                      .layout = &kE5,
                                      .decode = DotRoutine<BatchTile<E5Decoder>>::kTable,
                                      .prompt = DotRoutine<PromptTile<E5Unpacker>>::kTable,
                                      .min_prompt_tokens = 9};

}  // namespace tern::kernels
