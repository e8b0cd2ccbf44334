#include "src/base/check.h"
#include "src/sampling/sampler_table.h"

namespace tern::sampling {
namespace {

void check(const SamplingOptions& options) {
  if (!(options.min_p >= 0.0f && options.min_p <= 1.0f)) {
    fail(ErrorKind::kInvalidArgument, "min_p: expected 0 to 1, found {}", options.min_p);
  }
}

bool is_active(const SamplingOptions& options) { return options.min_p > 0.0f; }

void apply(const SamplingOptions& options, const History&, Candidates& candidates) {
  const float best = candidates.best().logit;
  const auto threshold = static_cast<double>(options.min_p);
  candidates.keep_if(
      [&](const Candidate& candidate) { return relative_probability(candidate.logit, best) >= threshold; });
}

}  // namespace

extern const SamplerStep kMinP;
const SamplerStep kMinP{"min-p", check, is_active, apply};

}  // namespace tern::sampling
