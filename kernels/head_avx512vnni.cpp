// The output head for AVX-512 VNNI.
#include "kernels/head_tables.h"
#include "kernels/head_vnni512.h"

namespace tern::kernels {

constinit const HeadKernels kHeadAvx512Vnni = make_head_table<Avx512Vnni>("head-avx512vnni", Isa::kAvx512Vnni);

}  // namespace tern::kernels
