#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tern/tern.h"

// GenerateOptions::lookup with the bundled model: the same text, sampled or not, whether it repeats itself or not.
namespace tern {
namespace {

constexpr const char* kBeginnings[] = {"Once upon a time", "One day",  "The little boat", "Tom and Sue",
                                       "A big red dog",    "Mom said", "In the park",     "\"Look!\" said Ben",
                                       "There was a",      "Lily"};

/// Prompts of five kinds: short, and with a passage that stands in them once to four times.
std::string prompt_of(unsigned i) {
  const std::string beginning = kBeginnings[i % 10];
  const std::string passage = " Tim had a red ball and a " + std::to_string(i) + " year old cat named Mia. ";
  std::string prompt = beginning;
  for (unsigned k = 0; k < i / 10; ++k) prompt += passage;
  return i / 10 > 0 ? prompt + " Tim had a" : prompt;
}

/// Every sampling step and way to end takes its turn.
GenerateOptions options_of(unsigned i) {
  constexpr float kTemperatures[] = {0.0f, 0.3f, 0.8f, 1.2f};
  GenerateOptions options{.max_tokens = 40 + i % 30};
  options.sampling.temperature = kTemperatures[i % 4];
  options.sampling.seed = 1000 + i;
  options.ignore_eos = i % 3 != 0;
  if (i % 5 == 1) options.sampling.repeat_penalty = 1.2f;
  if (i % 5 == 2) options.sampling.frequency_penalty = 0.4f;
  if (i % 5 == 3) options.sampling.top_k = 5;
  if (i % 7 == 3) options.stop = {"ball", ". "};
  if (i % 7 == 5) options.logprobs = 2;
  if (i % 10 == 7) options.sampling.logit_bias = {{42, 60.0f}};  // one token again and again: guesses come true
  return options;
}

GenerateResult generate_with(const std::shared_ptr<const Model>& model, unsigned i, bool lookup) {
  Session session(model, {.context = 256, .kv_type = i % 6 == 4 ? KvType::kInt8 : KvType::kF16, .threads = 1 + i % 2});
  GenerateOptions options = options_of(i);
  options.lookup = lookup;
  return generate(session, model->tokenizer().encode(prompt_of(i), {.add_special = true}), options);
}

TEST(LookupInStories, FiftyPromptsGiveTheSameText) {
  const auto model = Model::open(TERN_TEST_MODELS "/tern-stories.gguf");
  std::size_t n_guessed = 0;
  std::size_t n_right = 0;
  for (unsigned i = 0; i < 50; ++i) {
    SCOPED_TRACE(prompt_of(i));
    const GenerateResult expected = generate_with(model, i, false);
    const GenerateResult found = generate_with(model, i, true);
    EXPECT_EQ(found.tokens, expected.tokens);
    EXPECT_EQ(found.text, expected.text);
    EXPECT_EQ(found.reason, expected.reason);
    ASSERT_EQ(found.logprobs.size(), expected.logprobs.size());
    for (std::size_t k = 0; k < found.logprobs.size(); ++k) {
      EXPECT_EQ(found.logprobs[k].logprob, expected.logprobs[k].logprob);
      EXPECT_EQ(found.logprobs[k].top, expected.logprobs[k].top);
    }
    n_guessed += found.n_guessed;
    n_right += found.n_guessed_right;
  }
  // How many are made depends on measured times, but not whether any are.
  EXPECT_GT(n_right, 5u);
  EXPECT_GE(n_guessed, n_right);
}

}  // namespace
}  // namespace tern
