#include <cmath>
#include <limits>

#include "src/base/check.h"
#include "src/sampling/sampler_table.h"

namespace tern::sampling {
namespace {

void check(const SamplingOptions& options) {
  for (const auto& [token, bias] : options.logit_bias) {
    if (token < 0) fail(ErrorKind::kInvalidArgument, "logit_bias: token {} is negative", token);
    // Minus infinity is useful: it forbids a token.
    if (std::isnan(bias) || bias == std::numeric_limits<float>::infinity()) {
      fail(ErrorKind::kInvalidArgument, "logit_bias: {} for token {} is not a number below infinity", bias, token);
    }
  }
}

bool is_active(const SamplingOptions& options) { return !options.logit_bias.empty(); }

void apply(const SamplingOptions& options, const History&, Candidates& candidates) {
  for (const auto& [token, bias] : options.logit_bias) {
    if (static_cast<std::size_t>(token) >= candidates.size()) {
      fail(ErrorKind::kInvalidArgument, "logit_bias: token {} is outside the vocabulary of {}", token,
           candidates.size());
    }
    float& logit = candidates.items()[static_cast<std::size_t>(token)].logit;
    // A forbidden token stays forbidden whatever its logit: infinity minus infinity would be NaN.
    logit = bias == -std::numeric_limits<float>::infinity() ? bias : logit + bias;
  }
}

}  // namespace

extern const SamplerStep kLogitBias;
const SamplerStep kLogitBias{"logit bias", check, is_active, apply};

}  // namespace tern::sampling
