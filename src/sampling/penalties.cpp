#include <cmath>

#include "src/base/check.h"
#include "src/sampling/sampler_table.h"

// Three ways to make tokens that were seen lately less likely.
namespace tern::sampling {
namespace {

/// Replaces the logit of every token in the window by change(logit, times it was seen).
template <typename Change>
void change_seen(const History& history, Candidates& candidates, const Change& change) {
  for (const auto& [token, count] : history.counts()) {
    const auto index = static_cast<std::size_t>(token);  // a negative id becomes larger than any vocabulary
    if (index >= candidates.size()) continue;
    float& logit = candidates.items()[index].logit;
    if (std::isfinite(logit)) logit = change(logit, static_cast<float>(count));
  }
}

void require_finite(float value, std::string_view name) {
  if (!std::isfinite(value)) fail(ErrorKind::kInvalidArgument, "{}: expected a finite number, found {}", name, value);
}

void check_repeat(const SamplingOptions& options) {
  require_finite(options.repeat_penalty, "repeat_penalty");
  if (options.repeat_penalty <= 0.0f) {
    fail(ErrorKind::kInvalidArgument, "repeat_penalty: expected more than 0 (1 = off), found {}",
         options.repeat_penalty);
  }
}

void apply_repeat(const SamplingOptions& options, const History& history, Candidates& candidates) {
  const float penalty = options.repeat_penalty;
  change_seen(history, candidates,
              [penalty](float logit, float) { return logit > 0.0f ? logit / penalty : logit * penalty; });
}

void apply_frequency(const SamplingOptions& options, const History& history, Candidates& candidates) {
  const float penalty = options.frequency_penalty;
  change_seen(history, candidates, [penalty](float logit, float count) { return logit - count * penalty; });
}

void apply_presence(const SamplingOptions& options, const History& history, Candidates& candidates) {
  const float penalty = options.presence_penalty;
  change_seen(history, candidates, [penalty](float logit, float) { return logit - penalty; });
}

}  // namespace

extern const SamplerStep kRepeatPenalty;
const SamplerStep kRepeatPenalty{"repeat penalty", check_repeat,
                                 [](const SamplingOptions& options) { return options.repeat_penalty != 1.0f; },
                                 apply_repeat};

extern const SamplerStep kFrequencyPenalty;
const SamplerStep kFrequencyPenalty{
    "frequency penalty",
    [](const SamplingOptions& options) { require_finite(options.frequency_penalty, "frequency_penalty"); },
    [](const SamplingOptions& options) { return options.frequency_penalty != 0.0f; }, apply_frequency};

extern const SamplerStep kPresencePenalty;
const SamplerStep kPresencePenalty{
    "presence penalty",
    [](const SamplingOptions& options) { require_finite(options.presence_penalty, "presence_penalty"); },
    [](const SamplingOptions& options) { return options.presence_penalty != 0.0f; }, apply_presence};

}  // namespace tern::sampling
