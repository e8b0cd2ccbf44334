// Add/subtract-only kernel for AVX-512 (F, BW): no instruction here multiplies by a weight (tests/kernels checks the
// object code).
#include "kernels/addsub_decode.h"
#include "kernels/addsub_prompt.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

/// 64 bytes, or 32 lanes of 16 bits.
struct Avx512Bytes {
  static constexpr std::size_t kBytes = 64;
  __m512i v;

  static Avx512Bytes zero() { return {_mm512_setzero_si512()}; }
  static Avx512Bytes load(const std::uint8_t* p) { return {_mm512_load_si512(p)}; }
  void store(std::uint16_t* p) const { _mm512_store_si512(p, v); }

  static Avx512Bytes low_nibbles(Avx512Bytes a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
  static Avx512Bytes high_nibbles(Avx512Bytes a) {
    return {_mm512_and_si512(_mm512_srli_epi16(a.v, 4), _mm512_set1_epi8(15))};
  }
  /// Entries of a 16-byte table.
  static Avx512Bytes look_up(const std::uint8_t* table, Avx512Bytes nibbles) {
    const __m512i t = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
    return {_mm512_shuffle_epi8(t, nibbles.v)};
  }
  static Avx512Bytes add8(Avx512Bytes a, Avx512Bytes b) { return {_mm512_add_epi8(a.v, b.v)}; }
  static Avx512Bytes add16(Avx512Bytes a, Avx512Bytes b) { return {_mm512_add_epi16(a.v, b.v)}; }
  static Avx512Bytes sub16(Avx512Bytes a, Avx512Bytes b) { return {_mm512_sub_epi16(a.v, b.v)}; }
  static Avx512Bytes high_bytes(Avx512Bytes a) { return {_mm512_srli_epi16(a.v, 8)}; }
  static Avx512Bytes shift_left_8(Avx512Bytes a) { return {_mm512_slli_epi16(a.v, 8)}; }

  /// Nothing to do: 32 registers hold whatever order of additions the compiler likes best.
  static void complete(Avx512Bytes& /*a*/, Avx512Bytes& /*b*/) {}
};

/// 16-bit sums of 32 tokens.
struct Avx512Tokens {
  __m512i v;

  static Avx512Tokens zero() { return {_mm512_setzero_si512()}; }
  static Avx512Tokens load(const std::int16_t* p) { return {_mm512_load_si512(p)}; }
  void store(std::int16_t* p) const { _mm512_store_si512(p, v); }
  static Avx512Tokens add(Avx512Tokens a, Avx512Tokens b) { return {_mm512_add_epi16(a.v, b.v)}; }
  static Avx512Tokens sub(Avx512Tokens a, Avx512Tokens b) { return {_mm512_sub_epi16(a.v, b.v)}; }
  /// Adds to 32 sums of 32 bits.
  void add_to(std::int32_t* p) const {
    const __m512i low = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(v));
    const __m512i high = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(v, 1));
    _mm512_store_si512(p, _mm512_add_epi32(_mm512_load_si512(p), low));
    _mm512_store_si512(p + 16, _mm512_add_epi32(_mm512_load_si512(p + 16), high));
  }
};

}  // namespace

const TernaryKernel kAddSubAvx512 = {.name = "addsub-avx512",
                                     .family = Family::kAddSub,
                                     .isa = Isa::kAvx512,
                                     .layout = &kRows64,
                                     .decode = {.operand_bytes = decode_operand_bytes,
                                                .prepare = decode_prepare,
                                                .scratch_bytes = decode_scratch_bytes,
                                                .grain = decode_grain,
                                                .multiply = decode_multiply<Avx512Bytes>},
                                     .prompt = {.operand_bytes = prompt_operand_bytes,
                                                .prepare = prompt_prepare,
                                                .scratch_bytes = prompt_scratch_bytes,
                                                .grain = prompt_grain,
                                                .multiply = prompt_multiply<Avx512Tokens>},
                                     .min_prompt_tokens = 9};

}  // namespace tern::kernels
