#include "tern/machine.h"

#include "kernels/dispatch.h"

namespace tern {

std::vector<KernelSummary> all_kernels() {
  std::vector<KernelSummary> list;
  for (const kernels::TernaryKernel* kernel : kernels::all_ternary_kernels()) {
    list.push_back({.name = kernel->name,
                    .family = std::string(kernels::to_string(kernel->family)),
                    .instruction_set = std::string(kernels::to_string(kernel->isa)),
                    .missing = kernels::missing_for(kernel->isa)});
  }
  return list;
}

}  // namespace tern
