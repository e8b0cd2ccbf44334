// Dot-product kernel for AVX2. `vpmaddubsw` multiplies unsigned bytes (codes 0, 1, 2) with signed bytes (activations,
// |x| <= 127) and adds neighbouring products in 16 bits, with saturation: the bounds below keep it from happening.
#include "kernels/dot_ymm.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

constexpr int kMaxX = 127;
constexpr int kMaxPair = 2 * 2 * kMaxX;  // two products of a code <= 2: 508
constexpr int kMaxSum = 32512;           // of 16 bits, see below

/// Adds neighbouring 16-bit lanes.
inline __m256i widen(__m256i v) { return _mm256_madd_epi16(v, _mm256_set1_epi16(1)); }

/// Sums of one token. Planes 0 and 2 (after a shift by 4 bits) are at scale 1, planes 1 and 3 at scale 4.
class ScaledSums {
 public:
  static constexpr std::size_t kMaxSteps = 8;
  static_assert(kMaxSteps * 2 * 4 * kMaxPair <= kMaxSum, "16-bit lanes would saturate: 8 * 4064 = 32512");

  void add(__m256i codes, const StepQuads& x) {
    const __m256i low = _mm256_set1_epi8(0x03);
    const __m256i high = _mm256_set1_epi8(0x0C);
    const __m256i shifted = _mm256_srli_epi16(codes, 4);
    one_ = _mm256_add_epi16(one_, _mm256_maddubs_epi16(_mm256_and_si256(codes, low), x.of[0]));
    four_ = _mm256_add_epi16(four_, _mm256_maddubs_epi16(_mm256_and_si256(codes, high), x.of[1]));
    one_ = _mm256_add_epi16(one_, _mm256_maddubs_epi16(_mm256_and_si256(shifted, low), x.of[2]));
    four_ = _mm256_add_epi16(four_, _mm256_maddubs_epi16(_mm256_and_si256(shifted, high), x.of[3]));
  }
  [[nodiscard]] __m256i total() const {
    return _mm256_add_epi32(widen(one_), _mm256_srai_epi32(widen(four_), 2));  // exact: a multiple of 4
  }

 private:
  __m256i one_ = _mm256_setzero_si256();
  __m256i four_ = _mm256_setzero_si256();
};

struct PairProducts {
  static constexpr std::size_t kMaxQuads = 64;
  static_assert(kMaxQuads * kMaxPair <= kMaxSum, "16-bit lanes would saturate: 64 * 508 = 32512");

  static void add(__m256i& sum, __m256i codes, __m256i quad) {
    // sum += products, written out: compilers would first form the products of all tokens, which together with the sums
    // are more than the 16 registers can hold.
    asm("vpaddw %1, %0, %0" : "+x"(sum) : "x"(_mm256_maddubs_epi16(codes, quad)));
  }
  static __m256i total(__m256i sum) { return widen(sum); }
};

}  // namespace

const TernaryKernel kDotAvx2 = {.name = "dot-avx2",
                                .family = Family::kDot,
                                .isa = Isa::kAvx2,
                                .layout = &kTile16x4,
                                .decode = DotRoutine<DecodeTile<TileSums<ScaledSums>>>::kTable,
                                .prompt = DotRoutine<PromptTile<PairProducts, 4>>::kTable,
                                .min_prompt_tokens = 3};

}  // namespace tern::kernels
