// Dot-product kernel for AVX-512 VNNI.
#include "kernels/dot_vnni512.h"
#include "kernels/ternary_kernels.h"

namespace tern::kernels {
namespace {

static_assert(kStepBytes == tile16x4::kStepBytes && kTileRows == tile16x4::kTileRows);

struct Tile16x4Decoder {
  using Columns = Tile16x4Columns;
  static constexpr std::size_t kDigits = tile16x4::kPlanes;
  static constexpr std::size_t kSpanCols = kSpanSteps * tile16x4::kStepCols;

  static Span span(std::size_t cols) {
    const std::size_t n_steps = tile16x4::n_steps(cols);
    return {n_steps < kSpanSteps ? n_steps : kSpanSteps, tile16x4::kStepCols, tile16x4::kPlaneCols};
  }

  template <std::size_t kTiles>
  static void load(const std::uint8_t* weights, std::size_t first, __m512i (&tiles)[kTiles]) {
    for (std::size_t i = 0; i < kTiles; ++i) tiles[i] = _mm512_load_si512(weights + (first + i) * kTileBytes);
  }
};

struct Tile16x4Unpacker {
  using Columns = Tile16x4Columns;

  /// strip: (padded columns / 4, 2 tiles, 64 bytes), the tiles from `first` on.
  static void unpack(const std::uint8_t* block, std::size_t first, std::size_t cols, std::uint8_t* strip) {
    constexpr std::size_t kPlane = kStripTiles * kTileBytes;
    const __m512i field = _mm512_set1_epi8(3);
    const std::uint8_t* weights = block + first * kTileBytes;
    for (std::size_t s = 0; s < tile16x4::n_steps(cols); ++s, weights += kStepBytes, strip += 4 * kPlane) {
      for (std::size_t i = 0; i < kStripTiles; ++i) {
        prefetch(weights + i * kTileBytes);
        const __m512i v = _mm512_load_si512(weights + i * kTileBytes);
        std::uint8_t* out = strip + i * kTileBytes;
        _mm512_store_si512(out, _mm512_and_si512(v, field));
        _mm512_store_si512(out + kPlane, _mm512_and_si512(_mm512_srli_epi16(v, 2), field));
        _mm512_store_si512(out + 2 * kPlane, _mm512_and_si512(_mm512_srli_epi16(v, 4), field));
        _mm512_store_si512(out + 3 * kPlane, _mm512_and_si512(_mm512_srli_epi16(v, 6), field));
      }
    }
  }
};

}  // namespace

const TernaryKernel kDotAvx512Vnni = {.name = "dot-avx512vnni",
                                      .family = Family::kDot,
                                      .isa = Isa::kAvx512Vnni,
                                      .layout = &kTile16x4,
                                      .decode = DotRoutine<BatchTile<Tile16x4Decoder>>::kTable,
                                      .prompt = DotRoutine<PromptTile<Tile16x4Unpacker>>::kTable,
                                      .min_prompt_tokens = 9};

}  // namespace tern::kernels
