// Dot-product kernel for AVX-VNNI. `vpdpbusd` adds four products of unsigned bytes (codes 0, 1, 2) with signed bytes
// (activations) to a 32-bit lane, without saturation.
#include "kernels/dot_ymm.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

/// sum += codes * quad, per 32-bit lane. Written out: of the intrinsic, GCC 12 makes copies of the sums, more than the
/// 16 registers can hold.
inline void add_products(__m256i& sum, __m256i codes, __m256i quad) {
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(codes), "x"(quad));
}

/// Sums of one token. A plane is multiplied where it lies, scaled by 1, 4, 16 or 64: codes up to 2 * 64.
class PlaneSums {
 public:
  static constexpr std::size_t kMaxSteps = 32;  // 8 KB of weights, which stay in the first cache for four tiles

  void add(__m256i codes, const StepQuads& x) {
#pragma GCC unroll 4
    for (std::size_t j = 0; j < kPlanes; ++j) {
      const __m256i plane = _mm256_and_si256(codes, _mm256_set1_epi8(static_cast<char>(3U << (2 * j))));
      add_products(sums_[j], plane, x.of[j]);
    }
  }
  [[nodiscard]] __m256i total() const {  // exact shifts: each plane's sum is a multiple of its scale
    const __m256i a = _mm256_add_epi32(sums_[0], _mm256_srai_epi32(sums_[1], 2));
    const __m256i b = _mm256_add_epi32(_mm256_srai_epi32(sums_[2], 4), _mm256_srai_epi32(sums_[3], 6));
    return _mm256_add_epi32(a, b);
  }

 private:
  __m256i sums_[kPlanes] = {};
};

struct Products {
  static constexpr std::size_t kMaxQuads = kMaxCols;  // all of them
  static_assert(2 * 127 * kMaxCols < (std::size_t{1} << 31), "a 32-bit lane would overflow");

  static void add(__m256i& sum, __m256i codes, __m256i quad) { add_products(sum, codes, quad); }
  static __m256i total(__m256i sum) { return sum; }
};

}  // namespace

const TernaryKernel kDotAvxVnni = {.name = "dot-avxvnni",
                                   .family = Family::kDot,
                                   .isa = Isa::kAvxVnni,
                                   .layout = &kTile16x4,
                                   .decode = DotRoutine<DecodeTile<TileSums<PlaneSums>>>::kTable,
                                   .prompt = DotRoutine<PromptTile<Products, 6>>::kTable,
                                   .min_prompt_tokens = 3};

}  // namespace tern::kernels
