#pragma once

// What addsub_prompt.h needs to know of the layout "e5", for AVX-512 VBMI. Included by the add/subtract kernel; all
// names are local to the including file (see kernels.h).
//
// A byte holds five trits, a quad four. The trits t2 .. t5 of a group are one quad; the t1 of four neighbouring groups
// are another, so that four bytes give five quads:
//
//     group g        t1 | t2 t3 t4 t5   quad 0     of a span of n groups, whose digit t1 stands for the columns
//     group g + 1    t1 | t2 t3 t4 t5   quad 1     0 .. n - 1 of the span, t2 for n .. 2n - 1, and so on:
//     group g + 2    t1 | t2 t3 t4 t5   quad 2     quad i < 4 has the columns n + g + i, 2n + g + i, 3n + g + i,
//     group g + 3    t1 | t2 t3 t4 t5   quad 3     4n + g + i; quad 4 has g .. g + 3
//                    quad 4
//
// A pattern is a sum over trits, and sums over trits are what the two tables of the code are for.

#include "kernels/addsub_avx512.h"
#include "kernels/addsub_prompt.h"
#include "kernels/layout_e5.h"

namespace tern::kernels {
namespace {

struct E5Codes {
  static constexpr std::size_t kPassQuads = 5;
  static constexpr std::size_t kPassBytes = e5::kGroupsTogether * e5::kRows;
  static_assert(e5::kRows == kRows && e5::kGroupsTogether == 4);

  static std::size_t n_passes(std::size_t cols) { return e5::n_groups(cols) / e5::kGroupsTogether; }
  static std::size_t block_bytes(std::size_t cols) { return e5::block_bytes(cols); }
  static std::size_t padded_cols(std::size_t cols) { return e5::n_groups(cols) * e5::kGroupCols; }
  static Quad quad(std::size_t cols, std::size_t pass, std::size_t i) {
    constexpr std::size_t kSpanPasses = e5::kSpanGroups / e5::kGroupsTogether;
    const std::size_t begin = pass / kSpanPasses * e5::kSpanCols;
    const std::size_t n = e5::span_groups(cols - begin);
    const std::size_t first = begin + pass % kSpanPasses * e5::kGroupsTogether;
    return i < 4 ? Quad{first + n + i, n} : Quad{first, 1};
  }

  static void find_entries(const std::uint8_t* codes, Entries& entries) {
    alignas(64) static constexpr e5::Tables kQuad = e5::make_tables(0, 1, 3, 9, 27);
    // t1 comes from the first table alone (the second has no part of it), once for each place in quad 4.
    alignas(64) static constexpr e5::Tables kFirst[4] = {e5::make_tables(1, 0, 0, 0, 0), e5::make_tables(3, 0, 0, 0, 0),
                                                         e5::make_tables(9, 0, 0, 0, 0),
                                                         e5::make_tables(27, 0, 0, 0, 0)};
    const __m512i quad_a = _mm512_load_si512(kQuad.a);
    const __m512i quad_b = _mm512_load_si512(kQuad.b);
    const __m512i bias = _mm512_set1_epi8(40);  // trits -1, 0, 1 count as 0, 1, 2: (1 + 3 + 9 + 27) * 1
    Avx512Bytes quads[4];
    Avx512Bytes first = {bias};
    for (std::size_t g = 0; g < 4; ++g) {
      const __m512i byte = _mm512_load_si512(codes + g * e5::kRows);
      const __m512i high = _mm512_srli_epi16(byte, 2);  // `vpermb` ignores the neighbour's bits 6 and 7
      const __m512i sum = _mm512_add_epi8(_mm512_permutexvar_epi8(high, quad_a), _mm512_permutexvar_epi8(byte, quad_b));
      quads[g] = {_mm512_add_epi8(sum, bias)};
      first.v = _mm512_add_epi8(first.v, _mm512_permutexvar_epi8(high, _mm512_load_si512(kFirst[g].a)));
    }
    // The layout has the rows in the order that interleaving straightens.
    store_fours(quads, entries.fours);
    store_twos(first, Avx512Bytes::zero(), entries.rest);
  }
};

}  // namespace
}  // namespace tern::kernels
