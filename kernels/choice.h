#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/attention.h"
#include "kernels/head.h"
#include "kernels/kernels.h"

/// Which kernels compute which batches.
namespace tern::kernels {

struct Choice {
  /// From `min_tokens` on, up to the next step, batches go through one routine of a kernel.
  struct Step {
    std::size_t min_tokens;
    const TernaryKernel* kernel;
    const TernaryRoutine* routine;
  };
  std::vector<Step> steps;  // ascending, the first from 1 token on; all of one layout
  const FloatKernels* floats = nullptr;
  const AttentionKernels* attention = nullptr;
  const HeadKernels* head = nullptr;
  std::string note;  // one line for the user, e.g. that only the slow reference kernel can run; often empty

  [[nodiscard]] const TernaryLayout& layout() const noexcept { return *steps.front().kernel->layout; }
  [[nodiscard]] const Step& step_for(std::size_t n_tokens) const noexcept;
};

/// Measures the seconds that a routine takes for some product with `n_tokens` tokens, the same product for all
/// routines. It is asked for some of them more than once, and may remember.
using Timer = std::function<double(const TernaryKernel& kernel, const TernaryRoutine& routine, std::size_t n_tokens)>;

/// A dot-product kernel has to be this much faster than the best of the add/subtract-only family to be taken by itself.
inline constexpr double kDotAdvantage = 1.25;

/// `request` is
///   "auto"                  the add/subtract-only family, but a dot-product kernel of the same layout for those sizes
///                           of batches where it is measured at least kDotAdvantage times faster; and one of another
///                           layout for all sizes where it is so much faster in the mean of one token and of many
///   a family                "addsub", "dot", "reference"
///   a kernel                e.g. "dot-amx"; for a phase that it does not have, the best of its family and layout
///   DECODE+PROMPT           two kernels of one layout, e.g. "addsub-avx512vbmi+dot-amx"
/// Without a timer nothing is measured: the order of the kernels and their `min_prompt_tokens` decide. Where weights
/// are packed already, `layout` names how: the choice is then among the kernels that read it.
///
/// Errors    Error(kInvalidArgument): unknown, or cannot run under `isa` (says what is missing, lists what can run),
///           or does not read the layout; Error(kUnsupported): "auto", and no kernel that can run reads it
[[nodiscard]] Choice choose(std::string_view request, Isa isa, const Timer& timer = {}, std::string_view layout = {});

}  // namespace tern::kernels
