#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "src/sampling/sampler_table.h"

// Each step alone, against examples that were worked out by hand.
namespace tern::sampling {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Outcome {
  std::vector<Token> tokens;
  std::vector<float> logits;
};

/// Runs one step, by name, and returns what is left, best first.
Outcome apply(std::string_view name, const SamplingOptions& options, const std::vector<float>& logits,
              const std::vector<Token>& seen = {}) {
  History history(options.penalty_window);
  for (const Token token : seen) history.push(token);
  Candidates candidates;
  candidates.assign(logits);
  bool found = false;
  for (const SamplerStep* step : all_sampler_steps()) {
    if (step->name != name) continue;
    found = true;
    step->check(options);
    EXPECT_TRUE(step->is_active(options)) << name;
    step->apply(options, history, candidates);
  }
  EXPECT_TRUE(found) << name;
  candidates.sort_first(candidates.size());
  Outcome outcome;
  for (const Candidate& candidate : candidates.items()) {
    outcome.tokens.push_back(candidate.token);
    outcome.logits.push_back(candidate.logit);
  }
  return outcome;
}

TEST(Steps, LogitBiasAddsAndForbids) {
  const Outcome outcome = apply("logit bias", {.logit_bias = {{2, 1.5f}, {0, -kInfinity}}}, {4.0f, 3.0f, 2.0f});
  EXPECT_EQ(outcome.tokens, (std::vector<Token>{2, 1, 0}));
  EXPECT_EQ(outcome.logits, (std::vector<float>{3.5f, 3.0f, -kInfinity}));
}

TEST(Steps, LogitBiasForbidsAnInfiniteLogit) {
  const Outcome outcome = apply("logit bias", {.logit_bias = {{0, -kInfinity}}}, {kInfinity, 0.0f});
  EXPECT_EQ(outcome.tokens, (std::vector<Token>{1, 0}));
}

TEST(Steps, RepeatPenaltyDividesPositiveAndMultipliesNegative) {
  const Outcome outcome = apply("repeat penalty", {.repeat_penalty = 2.0f}, {4.0f, 3.0f, -1.0f, -0.5f}, {0, 2, 0});
  EXPECT_EQ(outcome.tokens, (std::vector<Token>{1, 0, 3, 2}));
  EXPECT_EQ(outcome.logits, (std::vector<float>{3.0f, 2.0f, -0.5f, -2.0f}));
}

TEST(Steps, FrequencyPenaltyCountsEveryTime) {
  const Outcome outcome = apply("frequency penalty", {.frequency_penalty = 0.5f}, {4.0f, 3.0f}, {0, 0, 0});
  EXPECT_EQ(outcome.tokens, (std::vector<Token>{1, 0}));
  EXPECT_EQ(outcome.logits, (std::vector<float>{3.0f, 2.5f}));
}

TEST(Steps, PresencePenaltyCountsOnce) {
  const Outcome outcome = apply("presence penalty", {.presence_penalty = 0.5f}, {4.0f, 3.0f}, {0, 0, 0});
  EXPECT_EQ(outcome.logits, (std::vector<float>{3.5f, 3.0f}));
}

TEST(Steps, PenaltiesForgetWhatLeftTheWindow) {
  const SamplingOptions options{.presence_penalty = 1.0f, .penalty_window = 2};
  const Outcome outcome = apply("presence penalty", options, {4.0f, 4.0f, 4.0f}, {0, 1, 2});
  EXPECT_EQ(outcome.tokens, (std::vector<Token>{0, 1, 2}));
  EXPECT_EQ(outcome.logits, (std::vector<float>{4.0f, 3.0f, 3.0f}));
}

TEST(Steps, PenaltiesOfAnEmptyWindowDoNothing) {
  const SamplingOptions options{.presence_penalty = 1.0f, .penalty_window = 0};
  EXPECT_EQ(apply("presence penalty", options, {4.0f, 3.0f}, {0, 1}).logits, (std::vector<float>{4.0f, 3.0f}));
}

TEST(Steps, PenaltiesIgnoreTokensOutsideTheVocabulary) {
  const SamplingOptions options{.presence_penalty = 1.0f};
  EXPECT_EQ(apply("presence penalty", options, {4.0f, 3.0f}, {-1, 2}).logits, (std::vector<float>{4.0f, 3.0f}));
}

TEST(Steps, GreedyTakesTheLargestAndTheLowestIdOnTies) {
  EXPECT_EQ(apply("greedy", {}, {1.0f, 5.0f, 5.0f, 2.0f}).tokens, (std::vector<Token>{1}));
  EXPECT_EQ(apply("greedy", {}, {kNan, -3.0f, kNan}).tokens, (std::vector<Token>{1}));
  EXPECT_EQ(apply("greedy", {}, {-kInfinity, -kInfinity}).tokens, (std::vector<Token>{0}));
}

TEST(Steps, TemperatureDividesDistances) {
  const Outcome outcome = apply("temperature", {.temperature = 0.5f}, {1.0f, 3.0f, 2.0f});
  EXPECT_EQ(outcome.tokens, (std::vector<Token>{1, 2, 0}));
  EXPECT_EQ(outcome.logits, (std::vector<float>{0.0f, -2.0f, -4.0f}));
}

TEST(Steps, ATinyTemperatureDoesNotTieAtInfinity) {
  const Outcome outcome = apply("temperature", {.temperature = 1e-38f}, {30.0f, 60.0f});
  EXPECT_EQ(outcome.logits, (std::vector<float>{0.0f, -kInfinity}));
}

TEST(Steps, TopKKeepsTheBest) {
  EXPECT_EQ(apply("top-k", {.top_k = 2}, {1.0f, 3.0f, 2.0f, 3.0f}).tokens, (std::vector<Token>{1, 3}));
  EXPECT_EQ(apply("top-k", {.top_k = 99}, {1.0f, 3.0f}).tokens, (std::vector<Token>{1, 0}));
}

// Probabilities 1/2, 1/4, 1/8, 1/8: logits are their natural logarithms.
const std::vector<float> kHalves = {-1.3862944f, -0.6931472f, -2.0794415f, -2.0794415f};

TEST(Steps, TopPKeepsTheSmallestSetThatReachesP) {
  EXPECT_EQ(apply("top-p", {.top_p = 0.49f}, kHalves).tokens, (std::vector<Token>{1}));
  EXPECT_EQ(apply("top-p", {.top_p = 0.51f}, kHalves).tokens, (std::vector<Token>{1, 0}));
  EXPECT_EQ(apply("top-p", {.top_p = 0.76f}, kHalves).tokens, (std::vector<Token>{1, 0, 2}));
  EXPECT_EQ(apply("top-p", {.top_p = 0.0f}, kHalves).tokens, (std::vector<Token>{1}));
}

TEST(Steps, TopPReachesFarIntoAFlatDistribution) {
  // 1000 equal tokens: 0.9 needs 900 of them, the lowest ids.
  const Outcome outcome = apply("top-p", {.top_p = 0.9f}, std::vector<float>(1000, 2.5f));
  ASSERT_EQ(outcome.tokens.size(), 900u);
  EXPECT_EQ(outcome.tokens.back(), 899);
}

TEST(Steps, MinPComparesWithTheBest) {
  EXPECT_EQ(apply("min-p", {.min_p = 0.51f}, kHalves).tokens, (std::vector<Token>{1}));
  EXPECT_EQ(apply("min-p", {.min_p = 0.49f}, kHalves).tokens, (std::vector<Token>{1, 0}));
  EXPECT_EQ(apply("min-p", {.min_p = 1.0f}, kHalves).tokens, (std::vector<Token>{1}));
}

TEST(Steps, EveryStepKeepsTheBestToken) {
  const SamplingOptions options{.temperature = 0.7f, .top_k = 1, .top_p = 0.0f, .min_p = 1.0f};
  for (const char* name : {"temperature", "top-k", "top-p", "min-p"}) {
    for (const Token best : {0, 1, 2, 63, 64, 511, 999}) {
      std::vector<float> logits(1000, -kInfinity);
      logits[static_cast<std::size_t>(best)] = -7.0f;
      EXPECT_EQ(apply(name, options, logits).tokens.front(), best) << name;
    }
  }
}

}  // namespace
}  // namespace tern::sampling
