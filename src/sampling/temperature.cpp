#include <cmath>
#include <limits>

#include "src/base/check.h"
#include "src/sampling/sampler_table.h"

namespace tern::sampling {
namespace {

void check(const SamplingOptions& options) {
  if (!std::isfinite(options.temperature) || options.temperature < 0.0f) {
    fail(ErrorKind::kInvalidArgument, "temperature: expected 0 (greedy) or more, found {}", options.temperature);
  }
}

bool is_active(const SamplingOptions& options) { return options.temperature != 0.0f && options.temperature != 1.0f; }

void apply(const SamplingOptions& options, const History&, Candidates& candidates) {
  // Relative to the best logit, so that a tiny temperature makes the others minus infinity and never ties at infinity.
  const float best = candidates.best().logit;
  if (best == -std::numeric_limits<float>::infinity()) return;  // nothing is possible, at any temperature
  for (Candidate& candidate : candidates.items()) {
    candidate.logit = candidate.logit == best ? 0.0f : (candidate.logit - best) / options.temperature;
  }
}

}  // namespace

extern const SamplerStep kTemperature;
const SamplerStep kTemperature{"temperature", check, is_active, apply};

}  // namespace tern::sampling
