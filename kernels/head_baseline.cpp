// The output head with what the compiler may assume: SSE2, NEON, or loops that it may turn into other vectors.
#include "kernels/head_impl.h"
#include "kernels/head_tables.h"
#include "kernels/head_wide.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace tern::kernels {
namespace {

/// Loops without branches over 16 weights.
struct PlainRows {
  template <typename Element>
  static void to_bytes(const Element* w, float scale, std::uint8_t* q) {
    for (std::size_t i = 0; i < kRowGroup; ++i) q[i] = to_byte(plain_float(w[i]), scale);
  }
};

#if defined(__SSE2__)

struct Baseline : HeadWide<4>, PlainRows {
  static constexpr std::size_t kBytes = 16;
  static constexpr std::size_t kTileSums = 8;
  struct Row {
    __m128i low, high;  // 8 columns each
  };
  static Row load(const std::uint8_t* p) {
    const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm_unpacklo_epi8(bytes, _mm_setzero_si128()), _mm_unpackhi_epi8(bytes, _mm_setzero_si128())};
  }

  using Hidden = const __m128i*;
  static Hidden load_hidden(const std::uint8_t* p) { return reinterpret_cast<const __m128i*>(p); }

  struct Sum {
    __m128i lanes;

    static Sum zero() { return {_mm_setzero_si128()}; }
    void add(const Row& row, Hidden x) {
      lanes = _mm_add_epi32(lanes, _mm_madd_epi16(row.low, _mm_load_si128(x)));
      lanes = _mm_add_epi32(lanes, _mm_madd_epi16(row.high, _mm_load_si128(x + 1)));
    }
    [[nodiscard]] std::int64_t total() const {
      std::int32_t stored[4];
      _mm_storeu_si128(reinterpret_cast<__m128i*>(stored), lanes);
      return sum_lanes(stored);
    }
  };

  template <std::size_t n>
  static inline __attribute__((always_inline)) void add_totals(const Sum (&sums)[n], std::int64_t* totals) {
    add_each_total(sums, totals);
  }
};

#elif defined(__aarch64__)

struct Baseline : HeadWide<4>, PlainRows {
  static constexpr std::size_t kBytes = 16;
  static constexpr std::size_t kTileSums = 8;
  struct Row {
    int16x8_t low, high;  // 8 columns each
  };
  static Row load(const std::uint8_t* p) {
    const uint8x16_t bytes = vld1q_u8(p);
    return {vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))), vreinterpretq_s16_u16(vmovl_high_u8(bytes))};
  }

  using Hidden = int16x8x2_t;
  static Hidden load_hidden(const std::uint8_t* p) { return vld1q_s16_x2(reinterpret_cast<const std::int16_t*>(p)); }

  struct Sum {
    int32x4_t lanes;

    static Sum zero() { return {vdupq_n_s32(0)}; }
    void add(const Row& row, const Hidden& x) {
      lanes = vmlal_s16(lanes, vget_low_s16(row.low), vget_low_s16(x.val[0]));
      lanes = vmlal_high_s16(lanes, row.low, x.val[0]);
      lanes = vmlal_s16(lanes, vget_low_s16(row.high), vget_low_s16(x.val[1]));
      lanes = vmlal_high_s16(lanes, row.high, x.val[1]);
    }
    [[nodiscard]] std::int64_t total() const { return vaddlvq_s32(lanes); }
  };

  template <std::size_t n>
  static inline __attribute__((always_inline)) void add_totals(const Sum (&sums)[n], std::int64_t* totals) {
    add_each_total(sums, totals);
  }
};

#else

struct Baseline : HeadWide<1>, PlainRows {
  static constexpr std::size_t kBytes = 16;
  static constexpr std::size_t kTileSums = 8;
  using Row = const std::uint8_t*;
  static Row load(const std::uint8_t* p) { return p; }

  using Hidden = const std::int16_t*;
  static Hidden load_hidden(const std::uint8_t* p) { return reinterpret_cast<const std::int16_t*>(p); }

  struct Sum {
    std::int32_t lanes[1];

    static Sum zero() { return {{0}}; }
    void add(Row row, Hidden x) {
      for (std::size_t i = 0; i < kBytes; ++i) lanes[0] += row[i] * x[i];
    }
    [[nodiscard]] std::int64_t total() const { return lanes[0]; }
  };

  template <std::size_t n>
  static inline __attribute__((always_inline)) void add_totals(const Sum (&sums)[n], std::int64_t* totals) {
    add_each_total(sums, totals);
  }
};

#endif

}  // namespace

constinit const HeadKernels kHeadBaseline = make_head_table<Baseline>("head-baseline", Isa::kBaseline);

}  // namespace tern::kernels
