// Attention for AVX-512 VNNI: `vpdpwssd` multiplies pairs of 16-bit integers and adds them to a 32-bit lane at once.
#include "kernels/attention_i8_impl.h"
#include "kernels/attention_tables.h"
#include "kernels/float_avx512.h"

namespace tern::kernels {
namespace {

struct Avx512VnniPairs : Avx512Pairs {
  static void add(Sums& sums, Codes codes, Factors factors) {
    sums = in_register(_mm512_dpwssd_epi32(sums, codes, factors));
  }
};

}  // namespace

constinit const AttentionKernels kAttentionAvx512Vnni =
    make_attention_table<Avx512, Avx512VnniPairs>("attention-avx512vnni", Isa::kAvx512Vnni);

}  // namespace tern::kernels
