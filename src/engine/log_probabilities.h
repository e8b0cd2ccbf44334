#pragma once

#include <cstddef>
#include <span>

#include "tern/generate.h"

namespace tern::engine {

/// The logarithm of the probability that a model gives a token, before any sampling option, and of its `n_top`
/// likeliest tokens (the lower id on ties).  logits: (vocab_size)
[[nodiscard]] TokenLogprob log_probabilities(std::span<const float> logits, Token token, std::size_t n_top);

}  // namespace tern::engine
