#include "src/sampling/chain.h"

#include <algorithm>
#include <limits>

#include "src/base/check.h"

namespace tern::sampling {

Chain::Chain(const SamplingOptions& options)
    : options_(options), history_(options.penalty_window), random_(options.seed) {
  for (const SamplerStep* step : all_sampler_steps()) {
    step->check(options_);
    if (step->is_active(options_)) steps_.push_back(step);
  }
}

Token Chain::sample(std::span<const float> logits) {
  if (logits.empty()) fail(ErrorKind::kInvalidArgument, "sample: there are no logits");
  candidates_.assign(logits);
  for (const SamplerStep* step : steps_) step->apply(options_, history_, candidates_);
  return candidates_.size() == 1 ? candidates_.items().front().token : draw();
}

Token Chain::draw() {
  const Candidate best = candidates_.best();
  if (best.logit == -std::numeric_limits<float>::infinity()) return best.token;  // all impossible: the lowest id
  cumulative_.clear();
  double total = 0.0;
  for (const Candidate& candidate : candidates_.items()) {
    total += relative_probability(candidate.logit, best.logit);
    cumulative_.push_back(total);
  }
  // The first candidate whose share of the line holds the point; one with probability 0 has no share.
  const double point = random_.uniform() * total;
  const auto drawn = std::upper_bound(cumulative_.begin(), cumulative_.end(), point);
  if (drawn == cumulative_.end()) return best.token;  // the product rounded up to the total
  return candidates_.items()[static_cast<std::size_t>(drawn - cumulative_.begin())].token;
}

}  // namespace tern::sampling
