#include <algorithm>

#include "src/base/check.h"
#include "src/sampling/sampler_table.h"

namespace tern::sampling {
namespace {

void check(const SamplingOptions& options) {
  if (!(options.top_p >= 0.0f && options.top_p <= 1.0f)) {
    fail(ErrorKind::kInvalidArgument, "top_p: expected 0 to 1, found {}", options.top_p);
  }
}

bool is_active(const SamplingOptions& options) { return options.top_p < 1.0f; }

void apply(const SamplingOptions& options, const History&, Candidates& candidates) {
  const float best = candidates.best().logit;
  double total = 0.0;
  for (const Candidate& candidate : candidates.items()) total += relative_probability(candidate.logit, best);

  // Sorts a growing front: most of a vocabulary is never needed in order.
  const double wanted = static_cast<double>(options.top_p) * total;
  double reached = 0.0;
  std::size_t n_kept = 0;
  for (std::size_t front = 64; n_kept < candidates.size(); front *= 8) {
    candidates.sort_first(std::min(front, candidates.size()));
    while (n_kept < std::min(front, candidates.size())) {
      reached += relative_probability(candidates.items()[n_kept].logit, best);
      ++n_kept;
      if (reached >= wanted) return candidates.keep_first(n_kept);
    }
  }
}

}  // namespace

extern const SamplerStep kTopP;
const SamplerStep kTopP{"top-p", check, is_active, apply};

}  // namespace tern::sampling
