#pragma once

#include <cstddef>

#include "kernels/kernels.h"

/// What a kernel could do at most if the one instruction that its design lives by were all there is to do.
namespace tern::kernels {

struct Peak {
  const char* instruction;           ///< "vpdpbusd zmm"
  double macs;                       ///< weights times tokens that one of them brings forward
  std::size_t per_call;              ///< instructions of one call of run()
  void (*run)(std::size_t n_calls);  ///< nothing but these instructions, independent of each other
};

/// Of one phase of a kernel; null where none is known. May run where the kernel may.
[[nodiscard]] const Peak* peak_of(const TernaryKernel& kernel, bool prompt) noexcept;

}  // namespace tern::kernels
