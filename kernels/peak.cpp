#include "kernels/peak.h"

#include <cstdint>
#include <string_view>

namespace tern::kernels {
namespace {

#if defined(__x86_64__)

/// What is added comes from memory, as the tables of the prompt kernels do.
alignas(64) constexpr std::uint8_t kTable[64 * 12] = {};

/// Defines a function that executes an instruction n_calls times for each of twelve destinations n, which keep two
/// instructions of five cycles' latency per cycle in flight. A macro, since the text of an instruction must be a
/// literal; the assembler repeats the line between .irp and .endr.
#define TERN_PEAK_LOOP(name, instruction)                                                                     \
  void name(std::size_t n_calls) {                                                                            \
    for (std::size_t i = 0; i < n_calls; ++i) {                                                               \
      asm volatile(".irp n,0,1,2,3,4,5,6,7,8,9,10,11\n " instruction "\n .endr" ::"r"(kTable)                 \
                   : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
                     "xmm11");                                                                                \
    }                                                                                                         \
    asm volatile("vzeroupper");                                                                               \
  }

TERN_PEAK_LOOP(dot_zmm, "vpdpbusd %%zmm12,%%zmm13,%%zmm\\n")
TERN_PEAK_LOOP(dot_ymm, "%{vex%} vpdpbusd %%ymm12,%%ymm13,%%ymm\\n")
TERN_PEAK_LOOP(maddubs_ymm, "vpmaddubsw %%ymm12,%%ymm13,%%ymm\\n")
TERN_PEAK_LOOP(permute_bytes_zmm, "vpermb %%zmm12,%%zmm13,%%zmm\\n")
TERN_PEAK_LOOP(shuffle_bytes_zmm, "vpshufb %%zmm12,%%zmm13,%%zmm\\n")
TERN_PEAK_LOOP(shuffle_bytes_ymm, "vpshufb %%ymm12,%%ymm13,%%ymm\\n")
TERN_PEAK_LOOP(add_loaded_zmm, "vpaddw 64*\\n(%0),%%zmm\\n,%%zmm\\n")
TERN_PEAK_LOOP(add_loaded_ymm, "vpaddw 64*\\n(%0),%%ymm\\n,%%ymm\\n")
#undef TERN_PEAK_LOOP

/// Eight tiles of 16 rows of 64 bytes; layout as in Intel's manual, "LDTILECFG".
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

void tiles(std::size_t n_calls) {
  constexpr TileConfig kConfig;
  asm volatile("ldtilecfg %0" ::"m"(kConfig));
  for (std::size_t i = 0; i < n_calls; ++i) {
    asm volatile(".irp n,0,1,2,3,0,1,2,3\n tdpbssd %%tmm6,%%tmm7,%%tmm\\n\n .endr" ::);
  }
  asm volatile("tilerelease");
}

constexpr Peak kDotZmm = {"vpdpbusd zmm", 64, 12, dot_zmm};
constexpr Peak kDotYmm = {"vpdpbusd ymm", 32, 12, dot_ymm};
constexpr Peak kMaddubsYmm = {"vpmaddubsw ymm", 32, 12, maddubs_ymm};
constexpr Peak kTiles = {"tdpbssd", 16 * 16 * 64, 8, tiles};
constexpr Peak kPermuteBytes = {"vpermb zmm", 80, 12, permute_bytes_zmm};  // four of them for 64 rows x 5 columns
constexpr Peak kShuffleZmm = {"vpshufb zmm", 64, 12, shuffle_bytes_zmm};   // four of them for 64 rows x 4 columns
constexpr Peak kShuffleYmm = {"vpshufb ymm", 32, 12, shuffle_bytes_ymm};
constexpr Peak kAddZmm = {"vpaddw zmm, memory", 128, 12, add_loaded_zmm};  // 4 columns x 32 tokens
constexpr Peak kAddYmm = {"vpaddw ymm, memory", 64, 12, add_loaded_ymm};

struct Entry {
  std::string_view kernel;
  const Peak* decode;
  const Peak* prompt;
};

constexpr Entry kPeaks[] = {
    {"addsub-avx512vbmi", &kPermuteBytes, &kAddZmm},
    {"addsub-avx512", &kShuffleZmm, &kAddZmm},
    {"addsub-avx2", &kShuffleYmm, &kAddYmm},
    {"dot-amx", nullptr, &kTiles},
    {"dot-avx512vbmi", &kDotZmm, &kDotZmm},
    {"dot-avx512vnni", &kDotZmm, &kDotZmm},
    {"dot-avxvnni", &kDotYmm, &kDotYmm},
    {"dot-avx2", &kMaddubsYmm, &kMaddubsYmm},
};

#endif

}  // namespace

const Peak* peak_of(const TernaryKernel& kernel, bool prompt) noexcept {
#if defined(__x86_64__)
  for (const Entry& entry : kPeaks) {
    if (entry.kernel == kernel.name) return prompt ? entry.prompt : entry.decode;
  }
#else
  static_cast<void>(kernel);
  static_cast<void>(prompt);
#endif
  return nullptr;
}

}  // namespace tern::kernels
