// The output head for AVX-512 F and BW: bytes are widened, `vpmaddwd` multiplies 16-bit numbers and adds neighbours.
#include "kernels/head_impl.h"
#include "kernels/head_rows_avx512.h"
#include "kernels/head_tables.h"
#include "kernels/head_wide.h"

namespace tern::kernels {
namespace {

struct Avx512 : HeadWide<16>, HeadRowsAvx512 {
  static constexpr std::size_t kBytes = 32;
  static constexpr std::size_t kTileSums = 8;
  using Row = __m512i;
  static Row load(const std::uint8_t* p) {
    return _mm512_cvtepu8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
  }

  /// Has a value computed here, once: compilers would load it again for every use, or form all products first.
  static __m512i in_register(__m512i v) {
    asm("" : "+v"(v));
    return v;
  }

  using Hidden = __m512i;
  static Hidden load_hidden(const std::uint8_t* p) { return in_register(_mm512_load_si512(p)); }

  struct Sum {
    __m512i lanes;

    static Sum zero() { return {_mm512_setzero_si512()}; }
    void add(Row row, Hidden x) { lanes = in_register(_mm512_add_epi32(lanes, _mm512_madd_epi16(row, x))); }
    [[nodiscard]] std::int64_t total() const {
      const __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(lanes));
      const __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(lanes, 1));
      return _mm512_reduce_add_epi64(_mm512_add_epi64(low, high));
    }
  };

  template <std::size_t n>
  static inline __attribute__((always_inline)) void add_totals(const Sum (&sums)[n], std::int64_t* totals) {
    add_each_total(sums, totals);
  }
};

}  // namespace

constinit const HeadKernels kHeadAvx512 = make_head_table<Avx512>("head-avx512", Isa::kAvx512);

}  // namespace tern::kernels
