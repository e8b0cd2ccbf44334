#include "kernels/cpu_features.h"

#include <cstring>
#include <fstream>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace tern::kernels {
namespace {

#if defined(__x86_64__)

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// All zeros when the processor does not know the leaf.
Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
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

/// Asks Linux for the tile registers, which a process may not use otherwise. Threads started later inherit the right.
/// Source: Documentation/arch/x86/xstate.rst of the Linux kernel
bool request_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

std::vector<CpuFeature> detect() {
  const Registers leaf1 = cpuid(1);
  const Registers leaf7 = cpuid(7);
  const Registers leaf7_1 = cpuid(7, 1);
  const unsigned saved = saved_states(leaf1);
  constexpr unsigned kYmm = 0x06;       // XMM and the upper halves of YMM
  constexpr unsigned kZmm = 0xE6;       // and mask registers, upper halves of ZMM0-15, ZMM16-31
  constexpr unsigned kTiles = 0x60000;  // tile configuration and tile data
  const bool ymm = (saved & kYmm) == kYmm;
  const bool zmm = (saved & kZmm) == kZmm;
  const auto bit = [](unsigned reg, unsigned index) { return (reg >> index & 1U) != 0; };
  const bool has_tiles = (saved & kTiles) == kTiles && bit(leaf7.edx, 24) && request_tiles();
  return {
      {Isa::kAvx2, "avx2", ymm && bit(leaf7.ebx, 5)},
      {Isa::kAvx2, "f16c", ymm && bit(leaf1.ecx, 29)},
      {Isa::kAvx2, "fma", ymm && bit(leaf1.ecx, 12)},
      {Isa::kAvxVnni, "avx_vnni", ymm && bit(leaf7_1.eax, 4)},
      {Isa::kAvx512, "avx512f", zmm && bit(leaf7.ebx, 16)},
      {Isa::kAvx512, "avx512dq", zmm && bit(leaf7.ebx, 17)},
      {Isa::kAvx512, "avx512bw", zmm && bit(leaf7.ebx, 30)},
      {Isa::kAvx512, "avx512vl", zmm && bit(leaf7.ebx, 31)},
      {Isa::kAvx512Vnni, "avx512vnni", zmm && bit(leaf7.ecx, 11)},
      {Isa::kAvx512Vbmi, "avx512vbmi", zmm && bit(leaf7.ecx, 1)},
      {Isa::kAmx, "gfni", zmm && bit(leaf7.ecx, 8)},
      {Isa::kAmx, "amx_tile", has_tiles},
      {Isa::kAmx, "amx_int8", has_tiles && bit(leaf7.edx, 25)},
      {Isa::kDotprod, "an AArch64 processor", false},
  };
}

#elif defined(__aarch64__)

std::vector<CpuFeature> detect() {
  const unsigned long features = getauxval(AT_HWCAP);
  const unsigned long more = getauxval(AT_HWCAP2);
  constexpr unsigned long kAsimdDp = 1UL << 20U;  // HWCAP_ASIMDDP
  constexpr unsigned long kI8mm = 1UL << 13U;     // HWCAP2_I8MM
  return {
      {Isa::kDotprod, "asimddp", (features & kAsimdDp) != 0},
      {Isa::kI8mm, "i8mm", (more & kI8mm) != 0},
      {Isa::kAvx2, "an x86-64 processor", false},
  };
}

#else

std::vector<CpuFeature> detect() {
  return {{Isa::kDotprod, "an AArch64 processor", false}, {Isa::kAvx2, "an x86-64 processor", false}};
}

#endif

}  // namespace

std::string cpu_name() {
#if defined(__x86_64__)
  constexpr unsigned kBrand = 0x80000002U;  // and the two leaves after it: 48 characters
  Registers brand[3];
  for (unsigned i = 0; i < 3; ++i) brand[i] = cpuid(kBrand + i);
  std::string name(sizeof brand, ' ');
  std::memcpy(name.data(), brand, sizeof brand);
  return name.c_str();  // up to the first zero
#else
  // Linux names the implementer and part of other processors only there.
  std::ifstream file("/proc/cpuinfo");
  std::string name;
  for (std::string line; std::getline(file, line) && !line.empty();) {
    if (line.starts_with("CPU implementer") || line.starts_with("CPU part") || line.starts_with("model name")) {
      name += line + "; ";
    }
  }
  return name.empty() ? "unknown processor" : name;
#endif
}

const std::vector<CpuFeature>& cpu_features() {
  static const std::vector<CpuFeature> features = detect();
  return features;
}

}  // namespace tern::kernels
