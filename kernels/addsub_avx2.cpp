// Add/subtract-only kernel for AVX2: no instruction here multiplies by a weight (tests/kernels checks the object code).
#include "kernels/addsub_decode.h"
#include "kernels/addsub_prompt_x86.h"
#include "kernels/addsub_rows64_prompt.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

/// 32 bytes, or 16 lanes of 16 bits.
struct Avx2Bytes {
  static constexpr std::size_t kBytes = 32;
  __m256i v;

  static Avx2Bytes zero() { return {_mm256_setzero_si256()}; }
  static Avx2Bytes load(const std::uint8_t* p) { return {_mm256_load_si256(reinterpret_cast<const __m256i*>(p))}; }
  void store(std::uint16_t* p) const { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
  void store(std::uint32_t* p) const { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
  /// Widens to 16 bits and shifts left.
  void store_shifted(std::uint64_t* p, int bits) const {
    auto* out = reinterpret_cast<__m256i*>(p);
    _mm256_store_si256(out, _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(v)), bits));
    _mm256_store_si256(out + 1, _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm256_extracti128_si256(v, 1)), bits));
  }

  static Avx2Bytes low_nibbles(Avx2Bytes a) { return {_mm256_and_si256(a.v, _mm256_set1_epi8(15))}; }
  static Avx2Bytes high_nibbles(Avx2Bytes a) {
    return {_mm256_and_si256(_mm256_srli_epi16(a.v, 4), _mm256_set1_epi8(15))};
  }
  /// Entries of a 16-byte table.
  static Avx2Bytes look_up(const std::uint8_t* table, Avx2Bytes nibbles) {
    const __m256i t = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
    return {_mm256_shuffle_epi8(t, nibbles.v)};
  }
  static Avx2Bytes add8(Avx2Bytes a, Avx2Bytes b) { return {_mm256_add_epi8(a.v, b.v)}; }
  static Avx2Bytes add16(Avx2Bytes a, Avx2Bytes b) { return {_mm256_add_epi16(a.v, b.v)}; }
  static Avx2Bytes sub16(Avx2Bytes a, Avx2Bytes b) { return {_mm256_sub_epi16(a.v, b.v)}; }
  static Avx2Bytes high_bytes(Avx2Bytes a) { return {_mm256_srli_epi16(a.v, 8)}; }
  static Avx2Bytes shift_left_8(Avx2Bytes a) { return {_mm256_slli_epi16(a.v, 8)}; }

  static Avx2Bytes shift_left(Avx2Bytes a, int bits) { return {_mm256_slli_epi16(a.v, bits)}; }  // lanes of 16 bits
  static Avx2Bytes interleave8_low(Avx2Bytes a, Avx2Bytes b) { return {_mm256_unpacklo_epi8(a.v, b.v)}; }
  static Avx2Bytes interleave8_high(Avx2Bytes a, Avx2Bytes b) { return {_mm256_unpackhi_epi8(a.v, b.v)}; }
  static Avx2Bytes interleave16_low(Avx2Bytes a, Avx2Bytes b) { return {_mm256_unpacklo_epi16(a.v, b.v)}; }
  static Avx2Bytes interleave16_high(Avx2Bytes a, Avx2Bytes b) { return {_mm256_unpackhi_epi16(a.v, b.v)}; }
  /// Brings bytes 0, 1, ... 31 into the order from which interleaving bytes, then pairs, in 128-bit lanes makes 0-7,
  /// 8-15, 16-23, 24-31.
  [[nodiscard]] Avx2Bytes for_interleaving() const {
    return {_mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7))};
  }

  /// Has both sums computed here and now. Compilers would reorder the additions of several groups into a tree, whose
  /// leaves are more than the 16 registers can hold.
  static void complete(Avx2Bytes& a, Avx2Bytes& b) { asm("" : "+x"(a.v), "+x"(b.v)); }
};

using PromptTokens = TwiceTokens<HalfTokens>;
using PromptCodes = Rows64Codes<Avx2Bytes>;

}  // namespace

const TernaryKernel kAddSubAvx2 = {.name = "addsub-avx2",
                                   .family = Family::kAddSub,
                                   .isa = Isa::kAvx2,
                                   .layout = &kRows64,
                                   .decode = {.operand_bytes = decode_operand_bytes,
                                              .prepare = decode_prepare,
                                              .scratch_bytes = decode_scratch_bytes,
                                              .grain = decode_grain,
                                              .multiply = decode_multiply<Avx2Bytes>,
                                              .multiply_scaled = decode_multiply_scaled<Avx2Bytes>},
                                   .prompt = {.operand_bytes = prompt_operand_bytes<PromptCodes>,
                                              .prepare = prompt_prepare<PromptTokens, PromptCodes>,
                                              .scratch_bytes = prompt_scratch_bytes,
                                              .grain = prompt_grain,
                                              .multiply = prompt_multiply<PromptTokens, PromptCodes>},
                                   .min_prompt_tokens = 9};

}  // namespace tern::kernels
