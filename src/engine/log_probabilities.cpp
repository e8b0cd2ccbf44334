#include "src/engine/log_probabilities.h"

#include <algorithm>
#include <cmath>

#include "src/sampling/candidates.h"

namespace tern::engine {

TokenLogprob log_probabilities(std::span<const float> logits, Token token, std::size_t n_top) {
  sampling::Candidates candidates;
  candidates.assign(logits);
  const float best = candidates.best().logit;
  double sum = 0.0;  // of the probabilities relative to the best one
  for (const sampling::Candidate& c : candidates.items()) sum += sampling::relative_probability(c.logit, best);
  const auto logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit) - static_cast<double>(best) - std::log(sum));
  };
  TokenLogprob result{.token = token, .logprob = logprob(candidates.items()[static_cast<std::size_t>(token)].logit)};
  n_top = std::min(n_top, candidates.size());
  candidates.sort_first(n_top);
  for (const sampling::Candidate& c : candidates.items().first(n_top))
    result.top.push_back({c.token, logprob(c.logit)});
  return result;
}

}  // namespace tern::engine
