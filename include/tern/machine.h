#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tern {

/// A ternary kernel in this binary, as `OpenOptions::kernel` names it.
struct KernelSummary {
  std::string name;             ///< "addsub-avx2"
  std::string family;           ///< "addsub", "dot" or "reference"
  std::string instruction_set;  ///< "avx2"
  std::string missing;          ///< what keeps it from running here, empty when it can
};

/// Every kernel in this binary, best first.
///
/// Errors    Error: kInvalidArgument (TERN_ISA names an instruction set that is unknown or that this machine lacks)
[[nodiscard]] std::vector<KernelSummary> all_kernels();

/// Where what was measured on this machine is kept: $TERN_CACHE_DIR, else $XDG_CACHE_HOME/tern, else ~/.cache/tern.
/// Empty when TERN_CACHE_DIR is, or when there is no such place; it may not exist yet.
[[nodiscard]] std::filesystem::path cache_directory();

}  // namespace tern
