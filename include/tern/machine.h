#pragma once

#include <string>
#include <vector>

namespace tern {

/// A ternary kernel in this binary, as `OpenOptions::kernel` names it.
struct KernelSummary {
  std::string name;             ///< "addsub-avx2"
  std::string family;           ///< "addsub", "dot" or "reference"
  std::string instruction_set;  ///< "avx2"
  std::string missing;          ///< what this processor lacks for it, empty when it can run
};

/// Every kernel in this binary, best first.
[[nodiscard]] std::vector<KernelSummary> all_kernels();

}  // namespace tern
