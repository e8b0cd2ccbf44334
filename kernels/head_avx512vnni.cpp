// The output head for AVX-512 VNNI: `vpdpbusd` adds four products of unsigned bytes (weights) with signed bytes (a
// plane of the hidden state) to a 32-bit lane, without saturation.
#include "kernels/head_impl.h"
#include "kernels/head_planes.h"
#include "kernels/head_rows_avx512.h"
#include "kernels/head_tables.h"

namespace tern::kernels {
namespace {

struct Avx512Vnni : HeadPlanes, HeadRowsAvx512 {
  static constexpr std::size_t kBytes = 64;
  using Row = __m512i;
  static Row load(const std::uint8_t* p) { return _mm512_load_si512(p); }

  struct Sum {
    __m512i high = _mm512_setzero_si512();
    __m512i low = _mm512_setzero_si512();

    void add(Row row, const std::uint8_t* x) {
      high = _mm512_dpbusd_epi32(high, row, _mm512_load_si512(x));
      low = _mm512_dpbusd_epi32(low, row, _mm512_load_si512(x + kBytes));
    }
    [[nodiscard]] std::int64_t total() const {
      return std::int64_t{128} * _mm512_reduce_add_epi32(high) + _mm512_reduce_add_epi32(low);
    }
  };
};

}  // namespace

constinit const HeadKernels kHeadAvx512Vnni = make_head_table<Avx512Vnni>("head-avx512vnni", Isa::kAvx512Vnni);

}  // namespace tern::kernels
