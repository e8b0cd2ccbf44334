#include "kernels/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tern::kernels {
namespace {

#if defined(__x86_64__)

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// All zeros when the processor does not know the leaf.
Registers cpuid(unsigned leaf) {
  Registers r;
  __get_cpuid_count(leaf, 0, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

/// The register states that the operating system saves (XCR0); 0 when it has not enabled XSAVE.
unsigned saved_states(const Registers& leaf1) {
  constexpr unsigned kOsxsave = 1U << 27U;
  if ((leaf1.ecx & kOsxsave) == 0) {
    return 0;
  }
  unsigned low = 0;
  unsigned high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

std::vector<CpuFeature> detect() {
  const Registers leaf1 = cpuid(1);
  const Registers leaf7 = cpuid(7);
  const unsigned saved = saved_states(leaf1);
  constexpr unsigned kYmm = 0x06;  // XMM and the upper halves of YMM
  constexpr unsigned kZmm = 0xE6;  // and mask registers, upper halves of ZMM0-15, ZMM16-31
  const bool ymm = (saved & kYmm) == kYmm;
  const bool zmm = (saved & kZmm) == kZmm;
  const auto bit = [](unsigned reg, unsigned index) { return (reg >> index & 1U) != 0; };
  return {
      {Isa::kAvx2, "avx2", ymm && bit(leaf7.ebx, 5)},
      {Isa::kAvx2, "f16c", ymm && bit(leaf1.ecx, 29)},
      {Isa::kAvx512, "avx512f", zmm && bit(leaf7.ebx, 16)},
      {Isa::kAvx512, "avx512dq", zmm && bit(leaf7.ebx, 17)},
      {Isa::kAvx512, "avx512bw", zmm && bit(leaf7.ebx, 30)},
      {Isa::kAvx512, "avx512vl", zmm && bit(leaf7.ebx, 31)},
      {Isa::kAvx512Vnni, "avx512vnni", zmm && bit(leaf7.ecx, 11)},
  };
}

#else

std::vector<CpuFeature> detect() { return {{Isa::kAvx2, "an x86-64 processor", false}}; }

#endif

}  // namespace

const std::vector<CpuFeature>& cpu_features() {
  static const std::vector<CpuFeature> features = detect();
  return features;
}

}  // namespace tern::kernels
