// The output head for AVX2: bytes are widened, `vpmaddwd` multiplies 16-bit numbers and adds neighbours.
#include "kernels/head_impl.h"
#include "kernels/head_rows_avx2.h"
#include "kernels/head_tables.h"
#include "kernels/head_wide.h"

namespace tern::kernels {
namespace {

struct Avx2 : HeadWide<8>, HeadRowsAvx2 {
  static constexpr std::size_t kBytes = 16;
  using Row = __m256i;
  static Row load(const std::uint8_t* p) {
    return _mm256_cvtepu8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
  }

  struct Sum {
    __m256i lanes = _mm256_setzero_si256();

    void add(Row row, const std::uint8_t* x) {
      const __m256i hidden = _mm256_load_si256(reinterpret_cast<const __m256i*>(x));
      lanes = _mm256_add_epi32(lanes, _mm256_madd_epi16(row, hidden));
    }
    [[nodiscard]] std::int64_t total() const {
      const __m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(lanes));
      const __m256i high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(lanes, 1));
      const __m256i four = _mm256_add_epi64(low, high);
      const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
      return _mm_extract_epi64(two, 0) + _mm_extract_epi64(two, 1);
    }
  };
};

}  // namespace

constinit const HeadKernels kHeadAvx2 = make_head_table<Avx2>("head-avx2", Isa::kAvx2);

}  // namespace tern::kernels
