#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernels.h"

/// What the processor offers and the operating system has switched on.
namespace tern::kernels {

/// A feature that an instruction set needs.
struct CpuFeature {
  Isa isa;                ///< the first instruction set that needs it
  std::string_view name;  ///< "avx512bw"
  bool present;           ///< in the processor, and its registers saved by the operating system
};

/// The features behind all instruction sets of this kind of machine, weakest first; detected once.
[[nodiscard]] const std::vector<CpuFeature>& cpu_features();

/// The processor's name, e.g. "Intel(R) Xeon(R) Processor".
[[nodiscard]] std::string cpu_name();

}  // namespace tern::kernels
