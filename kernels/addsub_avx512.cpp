// Add/subtract-only kernel for AVX-512 (F, BW): no instruction here multiplies by a weight (tests/kernels checks the
// object code).
#include "kernels/addsub_avx512.h"
#include "kernels/addsub_decode.h"
#include "kernels/addsub_rows64_prompt.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

using PromptCodes = Rows64Codes<Avx512Bytes>;

}  // namespace

const TernaryKernel kAddSubAvx512 = {.name = "addsub-avx512",
                                     .family = Family::kAddSub,
                                     .isa = Isa::kAvx512,
                                     .layout = &kRows64,
                                     .decode = {.operand_bytes = decode_operand_bytes,
                                                .prepare = decode_prepare,
                                                .scratch_bytes = decode_scratch_bytes,
                                                .grain = decode_grain,
                                                .multiply = decode_multiply<Avx512Bytes>,
                                                .multiply_scaled = decode_multiply_scaled<Avx512Bytes>},
                                     .prompt = {.operand_bytes = prompt_operand_bytes<PromptCodes>,
                                                .prepare = prompt_prepare<Avx512Tokens, PromptCodes>,
                                                .scratch_bytes = prompt_scratch_bytes,
                                                .grain = prompt_grain,
                                                .multiply = prompt_multiply<Avx512Tokens, PromptCodes>},
                                     .min_prompt_tokens = 9};

}  // namespace tern::kernels
