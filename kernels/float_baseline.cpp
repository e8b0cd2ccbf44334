#include "kernels/attention_i8_impl.h"
#include "kernels/attention_tables.h"
#include "kernels/float_impl.h"
#include "kernels/float_tables.h"

#if defined(__SSE2__)
#include "kernels/float_x86.h"
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace tern::kernels {
namespace {

#if defined(__SSE2__)

/// A group is four xmm registers. SSE2 knows no halves: their conversion is integer arithmetic.
struct Baseline : X86Sums<Baseline> {
  using Arch = xsimd::sse2;
  using Floats = xsimd::batch<float, Arch>;
  static constexpr std::size_t kDotRows = 2;
  static constexpr std::size_t kTileRows = 2;
  static constexpr std::size_t kTileGroups = 2;  // 8 registers of sums

  static Group<Baseline> from_f16(const std::uint16_t* p) {
    const auto* halves = reinterpret_cast<const __m128i*>(p);
    const __m128i low = _mm_loadu_si128(halves);
    const __m128i high = _mm_loadu_si128(halves + 1);
    const __m128i zero = _mm_setzero_si128();
    return {{widen(_mm_unpacklo_epi16(low, zero)), widen(_mm_unpackhi_epi16(low, zero)),
             widen(_mm_unpacklo_epi16(high, zero)), widen(_mm_unpackhi_epi16(high, zero))}};
  }
  static void to_f16(const Group<Baseline>& group, std::uint16_t* p) {
    auto* halves = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(halves, _mm_packs_epi32(narrow(group.r[0]), narrow(group.r[1])));
    _mm_storeu_si128(halves + 1, _mm_packs_epi32(narrow(group.r[2]), narrow(group.r[3])));
  }
  static void to_i8(const Group<Baseline>& group, std::int8_t* p) {
    const __m128i low = _mm_packs_epi32(_mm_cvtps_epi32(group.r[0]), _mm_cvtps_epi32(group.r[1]));
    const __m128i high = _mm_packs_epi32(_mm_cvtps_epi32(group.r[2]), _mm_cvtps_epi32(group.r[3]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(low, high));
  }
  /// In doubles, which hold the product exactly. Their sum is rounded to odd: the last bit is set unless the sum is
  /// exact, so that rounding once more, to a float, sees on which side of a tie it lies. Source    Boldo and Melquiond
  /// 2008, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding
  ///           to odd", IEEE Transactions on Computers 57(4)
  static Floats fma(Floats a, Floats b, Floats c) {
    const auto upper = [](Floats v) { return _mm_cvtps_pd(_mm_movehl_ps(v, v)); };
    const __m128d low = add_to_odd(_mm_mul_pd(_mm_cvtps_pd(a), _mm_cvtps_pd(b)), _mm_cvtps_pd(c));
    const __m128d high = add_to_odd(_mm_mul_pd(upper(a), upper(b)), upper(c));
    return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
  }
  static __m128d widen(const float* p) {
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static __m128d widen(const std::int32_t* p) {
    return _mm_cvtepi32_pd(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static Group<Baseline> narrow(const Group<Baseline, double>& g) {
    return make_group<Baseline>(
        [&](std::size_t k) { return Floats(_mm_movelh_ps(_mm_cvtpd_ps(g.r[2 * k]), _mm_cvtpd_ps(g.r[2 * k + 1]))); });
  }
  /// 8 + 8, then 4 + 4
  static __m128 fold(const Group<Baseline>& g) { return (g.r[0] + g.r[2]) + (g.r[1] + g.r[3]); }

 private:
  using Ints = xsimd::batch<std::int32_t, Arch>;

  /// a + b, rounded to odd.
  static __m128d add_to_odd(__m128d a, __m128d b) {
    const __m128d sum = _mm_add_pd(a, b);
    // What rounding took away, exactly (Knuth's TwoSum); NaN when the sum is infinite or NaN.
    const __m128d b_part = _mm_sub_pd(sum, a);
    const __m128d rest = _mm_add_pd(_mm_sub_pd(a, _mm_sub_pd(sum, b_part)), _mm_sub_pd(b, b_part));
    const __m128d zero = _mm_setzero_pd();
    const __m128d inexact = _mm_or_pd(_mm_cmplt_pd(rest, zero), _mm_cmpgt_pd(rest, zero));  // false for NaN
    const __m128i one = _mm_set1_epi64x(1);
    const __m128i bits = _mm_castpd_si128(sum);
    const __m128i is_even = _mm_sub_epi64(_mm_and_si128(bits, one), one);
    // An even neighbour moves by one place towards the exact sum: away from zero where the rest has the sum's sign.
    const __m128i signs = _mm_srai_epi32(_mm_castpd_si128(_mm_xor_pd(sum, rest)), 31);
    const __m128i step = _mm_or_si128(_mm_shuffle_epi32(signs, _MM_SHUFFLE(3, 3, 1, 1)), one);  // 1 or -1
    const __m128i moves = _mm_and_si128(_mm_castpd_si128(inexact), is_even);
    return _mm_castsi128_pd(_mm_add_epi64(bits, _mm_and_si128(step, moves)));
  }

  /// Four halves, each in the low bits of an int, to floats. Exact.
  static Floats widen(Ints half) {
    const Ints sign = (half & Ints(0x8000)) << 16;
    const Ints magnitude = half & Ints(0x7fff);
    const Ints moved = magnitude << 13;  // exponent and fraction where a float has them
    // 127 - 15 = 112: the difference of the exponents' biases; once more for infinity and NaN, whose exponent is 255.
    Ints normal = moved + Ints(112 << 23);
    normal = normal + select_where(magnitude > Ints(0x7bff), Ints(112 << 23));
    normal = normal | select_where(magnitude > Ints(0x7c00), Ints(1 << 22));  // NaN becomes quiet
    // A subnormal is fraction * 2^-24: put the fraction behind the hidden bit of 2^-14 and take 2^-14 away.
    const Floats subnormal = xsimd::bitwise_cast<Floats>(moved + Ints(113 << 23)) - Floats(0x1p-14f);
    const auto is_subnormal = magnitude < Ints(0x0400);
    const Ints bits = xsimd::select(is_subnormal, xsimd::bitwise_cast<Ints>(subnormal), normal);
    return xsimd::bitwise_cast<Floats>(bits | sign);
  }

  /// Four floats to halves, each in an int as a sign-extended 16-bit number.
  static Ints narrow(Floats value) {
    const Ints all_bits = xsimd::bitwise_cast<Ints>(value);
    const Ints magnitude = all_bits & Ints(0x7fffffff);
    // Half of the new last place, a bit less where the last place is even: ties go to even.
    const Ints odd = (magnitude >> 13) & Ints(1);
    const Ints normal = (magnitude - Ints(112 << 23) + Ints(0xfff) + odd) >> 13;
    // The last place of 0.5 is 2^-24, that of a subnormal half, so the addition rounds there.
    const Floats shifted = xsimd::bitwise_cast<Floats>(magnitude) + Floats(0.5f);
    const Ints subnormal = xsimd::bitwise_cast<Ints>(shifted) - xsimd::bitwise_cast<Ints>(Floats(0.5f));
    const Ints nan = Ints(0x7e00) | ((magnitude >> 13) & Ints(0x3ff));

    Ints half = xsimd::select(magnitude < Ints(0x38800000), subnormal, normal);  // below 2^-14
    half = xsimd::select(magnitude > Ints(0x477fefff), Ints(0x7c00), half);      // 65520 and more
    half = xsimd::select(magnitude > Ints(0x7f800000), nan, half);
    return ((half << 16) >> 16) | ((all_bits >> 16) & Ints(-0x8000));
  }

  static Ints select_where(xsimd::batch_bool<std::int32_t, Arch> where, Ints value) {
    return xsimd::select(where, value, Ints(0));
  }
};

struct BaselinePairs {
  static constexpr std::size_t kTileRows = 2;
  static constexpr std::size_t kTileGroups = 2;  // 8 registers of sums
  struct Codes {
    __m128i r[4];
  };
  using Factors = __m128i;
  struct Sums {
    __m128i r[4];
  };

  static Codes load(const std::int8_t* p) {
    const auto* bytes = reinterpret_cast<const __m128i*>(p);
    const __m128i low = _mm_loadu_si128(bytes);
    const __m128i high = _mm_loadu_si128(bytes + 1);
    // A number doubled in width by itself, then shifted down with its sign.
    const auto eight = [](__m128i twice) { return _mm_srai_epi16(twice, 8); };
    return {{eight(_mm_unpacklo_epi8(low, low)), eight(_mm_unpackhi_epi8(low, low)),
             eight(_mm_unpacklo_epi8(high, high)), eight(_mm_unpackhi_epi8(high, high))}};
  }
  static Factors broadcast(const std::int16_t* p) { return _mm_set1_epi32(load_pair(p)); }
  static Sums zero() { return {}; }
  static void add(Sums& sums, const Codes& codes, Factors factors) {
    for_constants<4>([&](auto k) { sums.r[k] = _mm_add_epi32(sums.r[k], _mm_madd_epi16(codes.r[k], factors)); });
  }
  static Group<Baseline> to_floats(const Sums& sums) {
    return make_group<Baseline>([&](std::size_t k) { return Baseline::Floats(_mm_cvtepi32_ps(sums.r[k])); });
  }
  static void to_i16(const Group<Baseline>& group, std::int16_t* p) {
    const auto eight = [](__m128 low, __m128 high) {
      return _mm_packs_epi32(_mm_cvtps_epi32(low), _mm_cvtps_epi32(high));
    };
    auto* integers = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(integers, eight(group.r[0], group.r[1]));
    _mm_storeu_si128(integers + 1, eight(group.r[2], group.r[3]));
  }
};

#elif defined(__aarch64__)

/// A group is four NEON registers.
struct Baseline {
  using Arch = xsimd::neon64;
  using Floats = xsimd::batch<float, Arch>;
  static constexpr std::size_t kDotRows = 4;
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kTileGroups = 4;  // 16 of 32 registers

  static Group<Baseline> from_f16(const std::uint16_t* p) {
    return make_group<Baseline>(
        [&](std::size_t k) { return Floats(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * k)))); });
  }
  static void to_f16(const Group<Baseline>& group, std::uint16_t* p) {
    for (std::size_t k = 0; k < 4; ++k) vst1_u16(p + 4 * k, vreinterpret_u16_f16(vcvt_f16_f32(group.r[k])));
  }
  static void to_i8(const Group<Baseline>& group, std::int8_t* p) {
    const int16x8_t low = vcombine_s16(to_i16(group.r[0]), to_i16(group.r[1]));
    const int16x8_t high = vcombine_s16(to_i16(group.r[2]), to_i16(group.r[3]));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  }
  static Floats fma(Floats a, Floats b, Floats c) { return Floats(vfmaq_f32(c, a, b)); }
  static float64x2_t widen(const float* p) { return vcvt_f64_f32(vld1_f32(p)); }
  static float64x2_t widen(const std::int32_t* p) { return vcvtq_f64_s64(vmovl_s32(vld1_s32(p))); }
  static Group<Baseline> narrow(const Group<Baseline, double>& g) {
    return make_group<Baseline>(
        [&](std::size_t k) { return Floats(vcombine_f32(vcvt_f32_f64(g.r[2 * k]), vcvt_f32_f64(g.r[2 * k + 1]))); });
  }
  static Floats larger(Floats a, Floats b) { return xsimd::select(a > b, a, b); }
  static Floats smaller(Floats a, Floats b) { return xsimd::select(a < b, a, b); }
  static Floats divide(Floats a, Floats b) { return Floats(vdivq_f32(a, b)); }  // xsimd's own is an approximation
  static float sum(const Group<Baseline>& g) {
    const float32x4_t four = (g.r[0] + g.r[2]) + (g.r[1] + g.r[3]);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }
  static void store_sums(const Group<Baseline> (&groups)[kDotRows], float* p) {
    for (std::size_t r = 0; r < kDotRows; ++r) p[r] = sum(groups[r]);
  }

 private:
  friend struct BaselinePairs;
  static int16x4_t to_i16(float32x4_t values) { return vmovn_s32(vcvtnq_s32_f32(values)); }
};

/// Multiplying by one number takes half of the instructions that adding up neighbours would take, so pairs are split.
struct BaselinePairs {
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kTileGroups = 4;  // 16 of 32 registers
  struct Codes {
    int16x8_t even[2], odd[2];  // the first of every pair, the second
  };
  struct Factors {
    std::int16_t even, odd;
  };
  struct Sums {
    int32x4_t r[4];
  };

  static Codes load(const std::int8_t* p) {
    const int8x16x2_t bytes = vld2q_s8(p);
    return {{vmovl_s8(vget_low_s8(bytes.val[0])), vmovl_high_s8(bytes.val[0])},
            {vmovl_s8(vget_low_s8(bytes.val[1])), vmovl_high_s8(bytes.val[1])}};
  }
  static Factors broadcast(const std::int16_t* p) { return {p[0], p[1]}; }
  static Sums zero() { return {{vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}}; }
  static void add(Sums& sums, const Codes& codes, Factors factors) {
    for_constants<2>([&](auto k) {
      sums.r[2 * k] = add(sums.r[2 * k], vget_low_s16(codes.even[k]), factors.even);
      sums.r[2 * k] = add(sums.r[2 * k], vget_low_s16(codes.odd[k]), factors.odd);
      sums.r[2 * k + 1] = add_high(sums.r[2 * k + 1], codes.even[k], factors.even);
      sums.r[2 * k + 1] = add_high(sums.r[2 * k + 1], codes.odd[k], factors.odd);
    });
  }
  static Group<Baseline> to_floats(const Sums& sums) {
    return make_group<Baseline>([&](std::size_t k) { return Baseline::Floats(vcvtq_f32_s32(sums.r[k])); });
  }
  static void to_i16(const Group<Baseline>& group, std::int16_t* p) {
    for (std::size_t k = 0; k < 4; ++k) vst1_s16(p + 4 * k, Baseline::to_i16(group.r[k]));
  }

 private:
  static int32x4_t add(int32x4_t sums, int16x4_t codes, std::int16_t factor) {
    return vmlal_n_s16(sums, codes, factor);
  }
  static int32x4_t add_high(int32x4_t sums, int16x8_t codes, std::int16_t factor) {
    return vmlal_high_n_s16(sums, codes, factor);
  }
};

#else
#error "there is no baseline table for this machine: build the scalar one only"
#endif

}  // namespace

constinit const FloatKernels kFloatBaseline = make_float_table<Baseline>("float-baseline", Isa::kBaseline);
constinit const AttentionKernels kAttentionBaseline =
    make_attention_table<Baseline, BaselinePairs>("attention-baseline", Isa::kBaseline);

}  // namespace tern::kernels
