#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/attention.h"
#include "kernels/head.h"
#include "kernels/kernels.h"

/// Which kernels this binary holds, and which of them this machine can run. (Which one is taken: choice.h.)
namespace tern::kernels {

[[nodiscard]] std::string_view to_string(Isa isa) noexcept;        // "scalar", "baseline", "avx2", "avx512", ...
[[nodiscard]] std::string_view to_string(Family family) noexcept;  // "reference", "addsub", "dot"

/// The instruction set that `isa` extends; the scalar one extends itself.
[[nodiscard]] Isa parent_of(Isa isa) noexcept;

/// All kernels in this binary, best first; the reference kernel is the last.
[[nodiscard]] std::span<const TernaryKernel* const> all_ternary_kernels() noexcept;
[[nodiscard]] std::span<const FloatKernels* const> all_float_kernels() noexcept;
[[nodiscard]] std::span<const HeadKernels* const> all_head_kernels() noexcept;
[[nodiscard]] std::span<const AttentionKernels* const> all_attention_kernels() noexcept;

/// What the processor lacks for an instruction set ("avx512vnni"), empty when it has everything.
[[nodiscard]] std::string missing_for(Isa isa);
/// The best instruction set that may be used: the processor's, capped by the environment variable TERN_ISA. What stands
/// before it in the order of Isa may be used too, where the processor has it.
///
/// Errors    Error(kInvalidArgument): TERN_ISA holds an unknown name, or one that this processor cannot run
[[nodiscard]] Isa usable_isa();

/// Kernels that may run under an instruction set, best first.
[[nodiscard]] std::vector<const TernaryKernel*> runnable_ternary_kernels(Isa isa);
[[nodiscard]] std::vector<const FloatKernels*> runnable_float_kernels(Isa isa);
[[nodiscard]] std::vector<const HeadKernels*> runnable_head_kernels(Isa isa);
[[nodiscard]] std::vector<const AttentionKernels*> runnable_attention_kernels(Isa isa);

}  // namespace tern::kernels
