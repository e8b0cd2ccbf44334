#include "tools/divergence.h"

#include <algorithm>
#include <cmath>

namespace tern::tools {
namespace {

/// ln of the sum of exp(logits).
double log_sum_exp(std::span<const float> logits) {
  const auto best = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return std::log(sum) + best;
}

}  // namespace

std::span<const float> of_tokens(const Tokenizer& tokenizer, std::span<const float> logits) {
  return logits.first(std::min(logits.size(), tokenizer.vocab_size()));
}

double surprise(std::span<const float> logits, Token token) {
  return log_sum_exp(logits) - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

double divergence(std::span<const float> p_logits, std::span<const float> q_logits) {
  const double p_norm = log_sum_exp(p_logits);
  const double q_norm = log_sum_exp(q_logits);
  double nats = 0.0;
  for (std::size_t i = 0; i < p_logits.size(); ++i) {
    const double log_p = static_cast<double>(p_logits[i]) - p_norm;
    const double log_q = static_cast<double>(q_logits[i]) - q_norm;
    nats += std::exp(log_p) * (log_p - log_q);
  }
  return nats;
}

void PredictionDistance::add(std::span<const float> p_logits, std::span<const float> q_logits) {
  const double distance = divergence(p_logits, q_logits);
  finite = finite && std::isfinite(distance);
  tokens += 1;
  nats += distance;
  largest_nats = std::max(largest_nats, distance);
  for (std::size_t i = 0; i < p_logits.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(p_logits[i]) - static_cast<double>(q_logits[i]));
    largest_logit = std::max(largest_logit, difference);
  }
  equal_best +=
      std::ranges::max_element(p_logits) - p_logits.begin() == std::ranges::max_element(q_logits) - q_logits.begin();
}

}  // namespace tern::tools
