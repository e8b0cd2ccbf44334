// The output head for AVX2: bytes are widened, `vpmaddwd` multiplies 16-bit numbers and adds neighbours.
#include "kernels/head_impl.h"
#include "kernels/head_rows_avx2.h"
#include "kernels/head_tables.h"
#include "kernels/head_wide.h"

namespace tern::kernels {
namespace {

struct Avx2 : HeadWide<8>, HeadRowsAvx2 {
  static constexpr std::size_t kBytes = 16;
  static constexpr std::size_t kTileSums = 8;
  using Row = __m256i;
  static Row load(const std::uint8_t* p) {
    return _mm256_cvtepu8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
  }

  /// Has a sum computed here: compilers would form all products first, more than the registers hold.
  static __m256i in_register(__m256i v) {
    asm("" : "+x"(v));
    return v;
  }

  using Hidden = __m256i;
  static Hidden load_hidden(const std::uint8_t* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }

  struct Sum {
    __m256i lanes;

    static Sum zero() { return {_mm256_setzero_si256()}; }
    void add(Row row, Hidden x) { lanes = in_register(_mm256_add_epi32(lanes, _mm256_madd_epi16(row, x))); }
    [[nodiscard]] std::int64_t total() const {
      const __m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(lanes));
      const __m256i high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(lanes, 1));
      const __m256i four = _mm256_add_epi64(low, high);
      const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
      return _mm_extract_epi64(two, 0) + _mm_extract_epi64(two, 1);
    }
  };

  template <std::size_t n>
  static inline __attribute__((always_inline)) void add_totals(const Sum (&sums)[n], std::int64_t* totals) {
    add_each_total(sums, totals);
  }
};

}  // namespace

constinit const HeadKernels kHeadAvx2 = make_head_table<Avx2>("head-avx2", Isa::kAvx2);

}  // namespace tern::kernels
