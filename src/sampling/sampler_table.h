#pragma once

#include <span>
#include <string_view>

#include "src/sampling/candidates.h"
#include "src/sampling/history.h"
#include "tern/sampler.h"

namespace tern::sampling {

/// One step between the logits and the draw. One per file in this folder, listed in sampler_table.cpp.
struct SamplerStep {
  std::string_view name;
  /// Errors    Error(kInvalidArgument): an option of this step is out of its range
  void (*check)(const SamplingOptions& options);
  /// False when the options make the step do nothing; it is then left out of the chain.
  bool (*is_active)(const SamplingOptions& options);
  /// Changes logits or removes candidates. Never removes the best one.
  void (*apply)(const SamplingOptions& options, const History& history, Candidates& candidates);
};

/// Every step, in the order in which they run.
[[nodiscard]] std::span<const SamplerStep* const> all_sampler_steps() noexcept;

}  // namespace tern::sampling
