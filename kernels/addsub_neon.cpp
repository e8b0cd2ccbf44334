// Add/subtract-only kernel for NEON, which every AArch64 processor has: no instruction here multiplies by a weight
// (tests/kernels checks the object code).
#include <arm_neon.h>

#include "kernels/addsub_decode.h"
#include "kernels/addsub_prompt_neon.h"
#include "kernels/addsub_rows64_prompt.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

/// 32 bytes, or 16 lanes of 16 bits: two registers share what is loaded of the tables.
struct NeonBytes {
  static constexpr std::size_t kBytes = 32;
  uint8x16_t a, b;

  static NeonBytes zero() { return {vdupq_n_u8(0), vdupq_n_u8(0)}; }
  static NeonBytes load(const std::uint8_t* p) { return {vld1q_u8(p), vld1q_u8(p + 16)}; }
  void store(std::uint16_t* p) const {
    vst1q_u16(p, words(a));
    vst1q_u16(p + 8, words(b));
  }
  void store(std::uint32_t* p) const {
    vst1q_u32(p, vreinterpretq_u32_u8(a));
    vst1q_u32(p + 4, vreinterpretq_u32_u8(b));
  }
  /// Widens to 16 bits and shifts left.
  void store_shifted(std::uint64_t* p, int bits) const {
    const uint8x8_t quarters[] = {vget_low_u8(a), vget_high_u8(a), vget_low_u8(b), vget_high_u8(b)};
    for (const uint8x8_t bytes : quarters) {
      const uint16x8_t shifted = vshlq_u16(vmovl_u8(bytes), vdupq_n_s16(static_cast<std::int16_t>(bits)));
      vst1q_u64(p, vreinterpretq_u64_u16(shifted));
      p += 2;
    }
  }

  static NeonBytes low_nibbles(NeonBytes x) {
    const uint8x16_t nibble = vdupq_n_u8(15);
    return {vandq_u8(x.a, nibble), vandq_u8(x.b, nibble)};
  }
  static NeonBytes high_nibbles(NeonBytes x) { return {vshrq_n_u8(x.a, 4), vshrq_n_u8(x.b, 4)}; }
  /// Entries of a 16-byte table.
  static NeonBytes look_up(const std::uint8_t* table, NeonBytes nibbles) {
    const uint8x16_t t = vld1q_u8(table);
    return {vqtbl1q_u8(t, nibbles.a), vqtbl1q_u8(t, nibbles.b)};
  }
  static NeonBytes add8(NeonBytes x, NeonBytes y) { return {vaddq_u8(x.a, y.a), vaddq_u8(x.b, y.b)}; }
  static NeonBytes add16(NeonBytes x, NeonBytes y) { return {add16(x.a, y.a), add16(x.b, y.b)}; }
  static NeonBytes sub16(NeonBytes x, NeonBytes y) { return {sub16(x.a, y.a), sub16(x.b, y.b)}; }
  static NeonBytes high_bytes(NeonBytes x) { return {high_bytes(x.a), high_bytes(x.b)}; }
  static NeonBytes shift_left_8(NeonBytes x) { return {shift_left_8(x.a), shift_left_8(x.b)}; }

  static NeonBytes shift_left(NeonBytes x, int bits) {  // lanes of 16 bits
    const int16x8_t shift = vdupq_n_s16(static_cast<std::int16_t>(bits));
    return {bytes(vshlq_u16(words(x.a), shift)), bytes(vshlq_u16(words(x.b), shift))};
  }
  static NeonBytes interleave8_low(NeonBytes x, NeonBytes y) { return {vzip1q_u8(x.a, y.a), vzip2q_u8(x.a, y.a)}; }
  static NeonBytes interleave8_high(NeonBytes x, NeonBytes y) { return {vzip1q_u8(x.b, y.b), vzip2q_u8(x.b, y.b)}; }
  static NeonBytes interleave16_low(NeonBytes x, NeonBytes y) { return interleave16(x.a, y.a); }
  static NeonBytes interleave16_high(NeonBytes x, NeonBytes y) { return interleave16(x.b, y.b); }
  /// In order: bytes are interleaved across all 32 of them.
  [[nodiscard]] NeonBytes for_interleaving() const { return *this; }

  /// Nothing to do: 32 registers hold whatever order of additions the compiler likes best.
  static void complete(NeonBytes& /*x*/, NeonBytes& /*y*/) {}

 private:
  static NeonBytes interleave16(uint8x16_t x, uint8x16_t y) {
    return {bytes(vzip1q_u16(words(x), words(y))), bytes(vzip2q_u16(words(x), words(y)))};
  }
  static uint16x8_t words(uint8x16_t x) { return vreinterpretq_u16_u8(x); }
  static uint8x16_t bytes(uint16x8_t x) { return vreinterpretq_u8_u16(x); }
  static uint8x16_t add16(uint8x16_t x, uint8x16_t y) { return bytes(vaddq_u16(words(x), words(y))); }
  static uint8x16_t sub16(uint8x16_t x, uint8x16_t y) { return bytes(vsubq_u16(words(x), words(y))); }
  static uint8x16_t high_bytes(uint8x16_t x) { return bytes(vshrq_n_u16(words(x), 8)); }
  static uint8x16_t shift_left_8(uint8x16_t x) { return bytes(vshlq_n_u16(words(x), 8)); }
};

using PromptTokens = TwiceTokens<TwiceTokens<EightTokens>>;
using PromptCodes = Rows64Codes<NeonBytes>;

}  // namespace

// From how many tokens on the prompt's way is shorter is counted, in instructions for 64 rows of a group: 53 a token
// for decoding, about 350 for eight tokens by their tables.
const TernaryKernel kAddSubNeon = {.name = "addsub-neon",
                                   .family = Family::kAddSub,
                                   .isa = Isa::kBaseline,
                                   .layout = &kRows64,
                                   .decode = {.operand_bytes = decode_operand_bytes,
                                              .prepare = decode_prepare,
                                              .scratch_bytes = decode_scratch_bytes,
                                              .grain = decode_grain,
                                              .multiply = decode_multiply<NeonBytes>,
                                              .multiply_scaled = decode_multiply_scaled<NeonBytes>},
                                   .prompt = {.operand_bytes = prompt_operand_bytes<PromptCodes>,
                                              .prepare = prompt_prepare<PromptTokens, PromptCodes>,
                                              .scratch_bytes = prompt_scratch_bytes,
                                              .grain = prompt_grain,
                                              .multiply = prompt_multiply<PromptTokens, PromptCodes>},
                                   .min_prompt_tokens = 7};

}  // namespace tern::kernels
