#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "src/sampling/random.h"
#include "tern/error.h"
#include "tern/sampler.h"

// Whole chains through the public Sampler.
namespace tern {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Logits between -8 and 8. (n)
std::vector<float> random_logits(std::size_t n, std::uint64_t seed) {
  sampling::Random random(seed);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = static_cast<float>(random.uniform() * 16.0 - 8.0);
  return logits;
}

std::vector<Token> draw(const SamplingOptions& options, const std::vector<float>& logits, int n_draws) {
  Sampler sampler(options);
  std::vector<Token> tokens;
  for (int i = 0; i < n_draws; ++i) {
    tokens.push_back(sampler.sample(logits));
    sampler.accept(tokens.back());
  }
  return tokens;
}

TEST(Sampler, IsGreedyByDefault) {
  const std::vector<float> logits = {0.5f, 2.0f, 1.0f};
  EXPECT_EQ(draw({}, logits, 3), (std::vector<Token>{1, 1, 1}));
}

TEST(Sampler, GivesTheSameTokensForASeedAndOthersForAnother) {
  const std::vector<float> logits = random_logits(500, 3);
  const SamplingOptions options{.temperature = 1.0f, .top_k = 40, .top_p = 0.95f, .min_p = 0.01f, .seed = 7};
  SamplingOptions other_seed = options;
  other_seed.seed = 8;
  const std::vector<Token> first = draw(options, logits, 64);
  EXPECT_EQ(first, draw(options, logits, 64));
  EXPECT_NE(first, draw(other_seed, logits, 64));
}

// Fixed for ever: a change here changes what every user gets for a seed.
TEST(Sampler, DrawsTheTokensOnRecord) {
  const std::vector<float> logits = random_logits(100, 5);
  const SamplingOptions options{
      .repeat_penalty = 1.1f, .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .seed = 42};
  EXPECT_EQ(draw(options, logits, 12), (std::vector<Token>{14, 21, 6, 89, 69, 99, 47, 89, 69, 87, 32, 6}));
}

/// Pearson's statistic of n draws against the softmax of the logits.
double chi_square(const SamplingOptions& options, const std::vector<float>& logits, int n_draws) {
  std::vector<double> expected(logits.size());
  double total = 0.0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit));
  for (std::size_t i = 0; i < logits.size(); ++i) expected[i] = std::exp(static_cast<double>(logits[i])) / total;
  std::vector<int> counts(logits.size());
  Sampler sampler(options);
  for (int i = 0; i < n_draws; ++i) ++counts[static_cast<std::size_t>(sampler.sample(logits))];
  double statistic = 0.0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double mean = expected[i] * n_draws;
    statistic += (counts[i] - mean) * (counts[i] - mean) / mean;
  }
  return statistic;
}

TEST(Sampler, DrawsInProportionToTheProbabilities) {
  const std::vector<float> logits = {0.0f, 1.0f, -1.0f, 2.0f, 0.5f, -2.0f, 1.5f, 0.25f};
  // 7 degrees of freedom: 29.9 is exceeded with probability 1e-4.
  EXPECT_LT(chi_square({.temperature = 1.0f, .seed = 1}, logits, 100000), 29.9);
  EXPECT_LT(chi_square({.temperature = 1.0f, .top_k = 8, .seed = 2}, logits, 100000), 29.9);
  // And the statistic does notice a distribution that is off.
  EXPECT_GT(chi_square({.temperature = 1.05f, .seed = 1}, logits, 100000), 29.9);
}

TEST(Sampler, NeverDrawsWhatIsImpossible) {
  const std::vector<float> logits = {-kInfinity, 0.0f, kNan, 0.0f, -kInfinity};
  for (const Token token : draw({.temperature = 50.0f, .seed = 3}, logits, 2000)) {
    EXPECT_TRUE(token == 1 || token == 3) << token;
  }
}

TEST(Sampler, TakesTheLowestIdWhenNothingIsPossible) {
  const std::vector<float> logits(5, -kInfinity);
  EXPECT_EQ(draw({}, logits, 1), std::vector<Token>{0});
  EXPECT_EQ(draw({.temperature = 0.7f, .top_p = 0.9f, .seed = 9}, logits, 1), std::vector<Token>{0});
}

TEST(Sampler, AnInfiniteLogitWins) {
  const std::vector<float> logits = {3.0f, kInfinity, 3.0f};
  EXPECT_EQ(draw({.temperature = 2.0f, .top_k = 3, .top_p = 0.999f, .min_p = 0.001f}, logits, 8),
            std::vector<Token>(8, 1));
}

TEST(Sampler, AVocabularyOfOneNeedsNoChoice) {
  EXPECT_EQ(draw({.temperature = 1.0f, .top_k = 40, .top_p = 0.5f}, {-4.0f}, 2), (std::vector<Token>{0, 0}));
}

TEST(Sampler, PenaltiesActOnAcceptedTokens) {
  // 5.0 - 2 * 1.5 < 3.0: token 0 gives way after it was seen twice.
  const std::vector<float> logits = {5.0f, 3.0f, 0.0f};
  EXPECT_EQ(draw({.frequency_penalty = 1.5f}, logits, 3), (std::vector<Token>{0, 0, 1}));
}

std::string error_of(const SamplingOptions& options) {
  try {
    Sampler sampler(options);
    static_cast<void>(sampler.sample(std::vector<float>{0.0f, 1.0f}));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return error.what();
  }
  return "no error";
}

TEST(Sampler, NamesTheOptionThatIsOutOfRange) {
  EXPECT_EQ(error_of({.temperature = -1.0f}), "temperature: expected 0 (greedy) or more, found -1");
  EXPECT_EQ(error_of({.temperature = kNan}), "temperature: expected 0 (greedy) or more, found nan");
  EXPECT_EQ(error_of({.top_p = 1.5f}), "top_p: expected 0 to 1, found 1.5");
  EXPECT_EQ(error_of({.top_p = kNan}), "top_p: expected 0 to 1, found nan");
  EXPECT_EQ(error_of({.min_p = -0.1f}), "min_p: expected 0 to 1, found -0.1");
  EXPECT_EQ(error_of({.repeat_penalty = 0.0f}), "repeat_penalty: expected more than 0 (1 = off), found 0");
  EXPECT_EQ(error_of({.frequency_penalty = kInfinity}), "frequency_penalty: expected a finite number, found inf");
  EXPECT_EQ(error_of({.presence_penalty = kNan}), "presence_penalty: expected a finite number, found nan");
  EXPECT_EQ(error_of({.logit_bias = {{-1, 0.5f}}}), "logit_bias: token -1 is negative");
  EXPECT_EQ(error_of({.logit_bias = {{2, 0.5f}}}), "logit_bias: token 2 is outside the vocabulary of 2");
  EXPECT_EQ(error_of({.logit_bias = {{0, kNan}}}), "logit_bias: nan for token 0 is not a number below infinity");
}

TEST(Sampler, RefusesToChooseFromNothing) {
  Sampler sampler({});
  EXPECT_THROW(static_cast<void>(sampler.sample({})), Error);
}

}  // namespace
}  // namespace tern
