// Add/subtract-only kernel for AVX-512 with VBMI, whose byte permutation looks up tables of 64 entries: no instruction
// here multiplies by a weight (tests/kernels checks the object code).
#include "kernels/addsub_avx512.h"
#include "kernels/addsub_e5_decode.h"
#include "kernels/addsub_e5_prompt.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {

const TernaryKernel kAddSubAvx512Vbmi = {.name = "addsub-avx512vbmi",
                                         .family = Family::kAddSub,
                                         .isa = Isa::kAvx512Vbmi,
                                         .layout = &kE5,
                                         .decode = {.operand_bytes = e5_decode::operand_bytes,
                                                    .prepare = e5_decode::prepare,
                                                    .scratch_bytes = e5_decode::scratch_bytes,
                                                    .grain = e5_decode::grain,
                                                    .multiply = e5_decode::multiply},
                                         .prompt = {.operand_bytes = prompt_operand_bytes<E5Codes>,
                                                    .prepare = prompt_prepare<Avx512Tokens, E5Codes>,
                                                    .scratch_bytes = prompt_scratch_bytes,
                                                    .grain = prompt_grain,
                                                    .multiply = prompt_multiply<Avx512Tokens, E5Codes>},
                                         .min_prompt_tokens = 9};

}  // namespace tern::kernels
