#include "tern/machine.h"

#include <cstdlib>

#include "kernels/dispatch.h"

namespace tern {

namespace {

/// What the processor lacks for a kernel; when it lacks nothing, the limit that the user set.
std::string missing_for(const kernels::TernaryKernel& kernel, kernels::Isa usable) {
  const std::string missing = kernels::missing_for(kernel.isa);
  if (missing.empty() && kernel.isa > usable) return "TERN_ISA=" + std::string(kernels::to_string(kernel.isa));
  return missing;
}

}  // namespace

std::vector<KernelSummary> all_kernels() {
  const kernels::Isa usable = kernels::usable_isa();
  std::vector<KernelSummary> list;
  for (const kernels::TernaryKernel* kernel : kernels::all_ternary_kernels()) {
    list.push_back({.name = kernel->name,
                    .family = std::string(kernels::to_string(kernel->family)),
                    .instruction_set = std::string(kernels::to_string(kernel->isa)),
                    .missing = missing_for(*kernel, usable)});
  }
  return list;
}

std::filesystem::path cache_directory() {
  namespace fs = std::filesystem;
  if (const char* dir = std::getenv("TERN_CACHE_DIR")) return dir;
  if (const char* dir = std::getenv("XDG_CACHE_HOME"); dir != nullptr && *dir != '\0') return fs::path(dir) / "tern";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return fs::path(home) / ".cache/tern";
  return {};
}

}  // namespace tern
