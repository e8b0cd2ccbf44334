// Add/subtract-only kernel for AVX-512 VBMI: no instruction here multiplies by a weight (tests/kernels checks the
// object code).
#include "kernels/addsub_avx512.h"
#include "kernels/addsub_e5_prompt.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {

const TernaryKernel kAddSubAvx512Vbmi = {.name = "addsub-avx512vbmi",
                                         .family = Family::kAddSub,
                                         .isa = Isa::kAvx512Vbmi,
                                         .layout = &kE5,
                                         .decode = {},
                                         .prompt = {.operand_bytes = prompt_operand_bytes<E5Codes>,
                                                    .prepare = prompt_prepare<E5Codes>,
                                                    .scratch_bytes = prompt_scratch_bytes,
                                                    .grain = prompt_grain,
                                                    .multiply = prompt_multiply<Avx512Tokens, E5Codes>},
                                         .min_prompt_tokens = 9};

}  // namespace tern::kernels
