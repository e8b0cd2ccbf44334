#include "kernels/float_avx512.h"

#include "kernels/attention_i8_impl.h"
#include "kernels/attention_tables.h"
#include "kernels/float_impl.h"
#include "kernels/float_tables.h"

namespace tern::kernels {
namespace {

struct Avx512MaddPairs : Avx512Pairs {
  static void add(Sums& sums, Codes codes, Factors factors) {
    sums = in_register(_mm512_add_epi32(sums, _mm512_madd_epi16(codes, factors)));
  }
};

}  // namespace

constinit const FloatKernels kFloatAvx512 = make_float_table<Avx512>("float-avx512", Isa::kAvx512);
constinit const AttentionKernels kAttentionAvx512 =
    make_attention_table<Avx512, Avx512MaddPairs>("attention-avx512", Isa::kAvx512);

}  // namespace tern::kernels
