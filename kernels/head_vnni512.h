#pragma once

// The output head for AVX-512 VNNI: `vpdpbusd` adds four products of unsigned bytes (weights) with signed bytes (a
// plane of the hidden state) to a 32-bit lane, without saturation. Included by kernels that have it; all names are
// local to the including file (see kernels.h).

#include <immintrin.h>

#include "kernels/head_impl.h"
#include "kernels/head_planes.h"
#include "kernels/head_rows_avx512.h"

namespace tern::kernels {
namespace {

struct Avx512Vnni : HeadPlanes, HeadRowsAvx512 {
  static constexpr std::size_t kBytes = 64;
  static constexpr std::size_t kTileSums = 8;
  using Row = __m512i;
  static Row load(const std::uint8_t* p) { return _mm512_load_si512(p); }

  /// Has a value computed here, once: compilers would load it again for every use, or keep old and new sums and copy.
  static __m512i in_register(__m512i v) {
    asm("" : "+v"(v));
    return v;
  }

  struct Hidden {
    __m512i high, low;
  };
  static Hidden load_hidden(const std::uint8_t* p) {
    return {in_register(_mm512_load_si512(p)), in_register(_mm512_load_si512(p + kBytes))};
  }

  struct Sum {
    __m512i high, low;

    static Sum zero() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
    void add(Row row, const Hidden& x) {
      high = in_register(_mm512_dpbusd_epi32(high, row, x.high));
      low = in_register(_mm512_dpbusd_epi32(low, row, x.low));
    }
    [[nodiscard]] std::int64_t total() const {
      return std::int64_t{128} * _mm512_reduce_add_epi32(high) + _mm512_reduce_add_epi32(low);
    }
  };

  template <std::size_t n>
  static inline __attribute__((always_inline)) void add_totals(const Sum (&sums)[n], std::int64_t* totals) {
    if constexpr (n == kTileSums) {
      const __m512i high = _mm512_cvtepi32_epi64(sum_eight(sums, &Sum::high));
      const __m512i low = _mm512_cvtepi32_epi64(sum_eight(sums, &Sum::low));
      const __m512i sum = _mm512_add_epi64(_mm512_slli_epi64(high, 7), low);
      _mm512_storeu_si512(totals, _mm512_add_epi64(_mm512_loadu_si512(totals), sum));
    } else {
      add_each_total(sums, totals);
    }
  }

 private:
  /// The sums of the lanes of one plane of eight sums, by transposing: a third of the instructions of one by one.
  static __m256i sum_eight(const Sum (&s)[8], __m512i Sum::*plane) {
    const __m512i a = add_halves(add_lanes(s[0].*plane, s[1].*plane), add_lanes(s[2].*plane, s[3].*plane));
    const __m512i b = add_halves(add_lanes(s[4].*plane, s[5].*plane), add_lanes(s[6].*plane, s[7].*plane));
    // Quarters of a: sums 0-3 four times over, to be added; of b: sums 4-7.
    const __m512i two = _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xee));
    const __m512i one = _mm512_add_epi32(two, _mm512_shuffle_i32x4(two, two, 0xb1));  // quarters: a a b b
    return _mm512_castsi512_si256(_mm512_shuffle_i32x4(one, one, 0x08));
  }
  /// In every quarter: a02 b02 a13 b13.
  static __m512i add_lanes(__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  }
  /// In every quarter: a b c d, from what add_lanes() made of a and b, c and d.
  static __m512i add_halves(__m512i ab, __m512i cd) {
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  }
};

}  // namespace
}  // namespace tern::kernels
