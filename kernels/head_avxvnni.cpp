// The output head for AVX-VNNI: as for AVX-512 VNNI, in registers of half the size.
#include "kernels/head_impl.h"
#include "kernels/head_planes.h"
#include "kernels/head_rows_avx2.h"
#include "kernels/head_tables.h"

namespace tern::kernels {
namespace {

struct AvxVnni : HeadPlanes, HeadRowsAvx2 {
  static constexpr std::size_t kBytes = 32;
  static constexpr std::size_t kTileSums = 4;
  using Row = __m256i;
  static Row load(const std::uint8_t* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }

  /// Has a sum computed here: compilers would keep old and new ones, and copy.
  static __m256i in_register(__m256i v) {
    asm("" : "+x"(v));
    return v;
  }

  struct Hidden {
    __m256i high, low;
  };
  static Hidden load_hidden(const std::uint8_t* p) { return {load(p), load(p + kBytes)}; }

  struct Sum {
    __m256i high, low;

    static Sum zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
    void add(Row row, const Hidden& x) {
      high = in_register(_mm256_dpbusd_avx_epi32(high, row, x.high));
      low = in_register(_mm256_dpbusd_avx_epi32(low, row, x.low));
    }
    [[nodiscard]] std::int64_t total() const { return std::int64_t{128} * sum_lanes(high) + sum_lanes(low); }
  };

  template <std::size_t n>
  static inline __attribute__((always_inline)) void add_totals(const Sum (&sums)[n], std::int64_t* totals) {
    add_each_total(sums, totals);
  }

 private:
  static std::int32_t sum_lanes(__m256i lanes) {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
};

}  // namespace

constinit const HeadKernels kHeadAvxVnni = make_head_table<AvxVnni>("head-avxvnni", Isa::kAvxVnni);

}  // namespace tern::kernels
