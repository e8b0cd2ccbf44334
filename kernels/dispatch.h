#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernels.h"

/// Which kernels this binary holds, which of them this machine can run, and which one to take.
namespace tern::kernels {

[[nodiscard]] std::string_view to_string(Isa isa) noexcept;  // "scalar", "baseline", "avx2", "avx512", "avx512vnni"
[[nodiscard]] std::string_view to_string(Family family) noexcept;  // "reference", "addsub", "dot"

/// All kernels in this binary, best first; the reference kernel is the last.
[[nodiscard]] std::span<const TernaryKernel* const> all_ternary_kernels() noexcept;
[[nodiscard]] std::span<const FloatKernels* const> all_float_kernels() noexcept;

/// What the processor lacks for an instruction set ("avx512vnni"), empty when it has everything.
[[nodiscard]] std::string missing_for(Isa isa);
/// The best instruction set that may be used: the processor's, capped by the environment variable TERN_ISA.
///
/// Errors    Error(kInvalidArgument): TERN_ISA holds an unknown name, or one that this processor can not run
[[nodiscard]] Isa usable_isa();

/// Kernels that may run under an instruction set, best first.
[[nodiscard]] std::vector<const TernaryKernel*> runnable_ternary_kernels(Isa isa);
[[nodiscard]] std::vector<const FloatKernels*> runnable_float_kernels(Isa isa);

/// What was chosen, and why when there is something to say.
struct Choice {
  const TernaryKernel* ternary = nullptr;
  const FloatKernels* floats = nullptr;
  std::string note;  // one line for the user, e.g. that only the slow reference kernel can run; often empty
};

/// `request`: "auto", a family ("addsub", "dot", "reference") or a kernel's name. auto takes the add/subtract-only
/// family.
///
/// Errors    Error(kInvalidArgument): unknown, or can not run here (says what is missing, lists what can run)
[[nodiscard]] Choice choose(std::string_view request, Isa isa);

}  // namespace tern::kernels
