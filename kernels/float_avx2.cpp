#include "kernels/attention_i8_impl.h"
#include "kernels/attention_tables.h"
#include "kernels/float_impl.h"
#include "kernels/float_tables.h"
#include "kernels/float_x86.h"

namespace tern::kernels {
namespace {

/// A group is two ymm registers.
struct Avx2 : X86Sums<Avx2> {
  using Arch = xsimd::avx2;
  static constexpr std::size_t kDotRows = 4;
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kTileGroups = 4;  // 8 registers of sums

  static Group<Avx2> from_f16(const std::uint16_t* p) {
    const auto* halves = reinterpret_cast<const __m128i*>(p);
    return {{_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))}};
  }
  static void to_f16(const Group<Avx2>& group, std::uint16_t* p) {
    auto* halves = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(halves, _mm256_cvtps_ph(group.r[0], _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(group.r[1], _MM_FROUND_TO_NEAREST_INT));
  }
  static void to_i8(const Group<Avx2>& group, std::int8_t* p) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(to_i16(group.r[0]), to_i16(group.r[1])));
  }
  static __m256 fma(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
  static __m256d widen(const float* p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
  static __m256d widen(const std::int32_t* p) {
    return _mm256_cvtepi32_pd(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Group<Avx2> narrow(const Group<Avx2, double>& g) {
    return {{_mm256_setr_m128(_mm256_cvtpd_ps(g.r[0]), _mm256_cvtpd_ps(g.r[1])),
             _mm256_setr_m128(_mm256_cvtpd_ps(g.r[2]), _mm256_cvtpd_ps(g.r[3]))}};
  }
  /// 8 + 8, then 4 + 4
  static __m128 fold(const Group<Avx2>& group) {
    const __m256 eight = _mm256_add_ps(group.r[0], group.r[1]);
    return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  }

 private:
  static __m128i to_i16(__m256 values) {
    const __m256i ints = _mm256_cvtps_epi32(values);
    return _mm_packs_epi32(_mm256_castsi256_si128(ints), _mm256_extracti128_si256(ints, 1));
  }
};

struct Avx2Pairs {
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kTileGroups = 4;  // 8 registers of sums
  struct Codes {
    __m256i low, high;
  };
  using Factors = __m256i;
  struct Sums {
    __m256i low, high;
  };

  static Codes load(const std::int8_t* p) {
    const auto* bytes = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtepi8_epi16(_mm_loadu_si128(bytes)), _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes + 1))};
  }
  static Factors broadcast(const std::int16_t* p) { return _mm256_set1_epi32(load_pair(p)); }
  static Sums zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static void add(Sums& sums, const Codes& codes, Factors factors) {
    sums.low = _mm256_add_epi32(sums.low, _mm256_madd_epi16(codes.low, factors));
    sums.high = _mm256_add_epi32(sums.high, _mm256_madd_epi16(codes.high, factors));
  }
  static Group<Avx2> to_floats(const Sums& sums) {
    return {{_mm256_cvtepi32_ps(sums.low), _mm256_cvtepi32_ps(sums.high)}};
  }
  static void to_i16(const Group<Avx2>& group, std::int16_t* p) {
    // Packs within halves of registers: the middle quarters are swapped.
    const __m256i packed = _mm256_packs_epi32(_mm256_cvtps_epi32(group.r[0]), _mm256_cvtps_epi32(group.r[1]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, _MM_SHUFFLE(3, 1, 2, 0)));
  }
};

}  // namespace

constinit const FloatKernels kFloatAvx2 = make_float_table<Avx2>("float-avx2", Isa::kAvx2);
constinit const AttentionKernels kAttentionAvx2 = make_attention_table<Avx2, Avx2Pairs>("attention-avx2", Isa::kAvx2);

}  // namespace tern::kernels
