#include <gtest/gtest.h>

#include <random>

#include "tern/batch.h"
#include "tests/engine/model_file.h"

namespace tern {
namespace {

using test::ModelFile;

constexpr std::size_t kContext = 640;  // tokens: more than two pages of the KV cache

std::vector<Token> random_tokens(std::mt19937& random, std::size_t n) {
  std::vector<Token> tokens(n);
  for (Token& token : tokens) token = static_cast<Token>(random() % 250);
  return tokens;
}

/// Requests of many lengths, sampled in different ways. Some begin alike: within a page, over one, over two.
std::vector<BatchRequest> mixed_requests(std::size_t n) {
  std::mt19937 random(7);
  const std::vector<Token> beginning = random_tokens(random, 540);
  std::vector<BatchRequest> requests(n);
  for (std::size_t i = 0; i < n; ++i) {
    BatchRequest& request = requests[i];
    request.id = 1000 + i;
    const std::size_t shared[] = {0, 40, 300, 540, 5};
    request.prompt.assign(beginning.begin(), beginning.begin() + static_cast<std::ptrdiff_t>(shared[i % 5]));
    for (const Token token : random_tokens(random, 1 + random() % 60)) request.prompt.push_back(token);
    request.options.max_tokens = 1 + random() % 24;
    request.options.ignore_eos = i % 3 != 0;
    request.options.sampling.temperature = i % 2 == 0 ? 0.0f : 0.9f;
    request.options.sampling.seed = i;
    if (i % 7 == 0) request.options.logprobs = 3;
  }
  return requests;
}

GenerateResult alone(const std::shared_ptr<const Model>& model, const BatchRequest& request, KvType kv_type) {
  Session session(model, {.context = kContext, .kv_type = kv_type, .threads = 1});
  return generate(session, request.prompt, request.options);
}

/// Runs requests and returns their results in the order of the requests.
std::vector<BatchResult> run(Batch& batch, const std::vector<BatchRequest>& requests) {
  std::vector<BatchResult> results(requests.size());
  std::size_t next = 0;
  const bool finished = batch.run({.next = [&]() -> std::optional<BatchRequest> {
                                     if (next == requests.size()) return std::nullopt;
                                     return requests[next++];
                                   },
                                   .on_result =
                                       [&](BatchResult result) {
                                         const std::size_t i = result.id - requests.front().id;
                                         results.at(i) = std::move(result);
                                       }});
  EXPECT_TRUE(finished);
  return results;
}

void expect_equal(const GenerateResult& result, const GenerateResult& expected, std::size_t i) {
  EXPECT_EQ(result.tokens, expected.tokens) << i;
  EXPECT_EQ(result.text, expected.text) << i;
  EXPECT_EQ(result.reason, expected.reason) << i;
  ASSERT_EQ(result.logprobs.size(), expected.logprobs.size()) << i;
  for (std::size_t t = 0; t < result.logprobs.size(); ++t) {
    EXPECT_EQ(result.logprobs[t].logprob, expected.logprobs[t].logprob) << i;
    EXPECT_EQ(result.logprobs[t].top, expected.logprobs[t].top) << i;
  }
}

class BatchOf : public testing::TestWithParam<KvType> {};

TEST_P(BatchOf, TextsEqualsEachTextAlone) {
  const auto model = ModelFile(test::TinyModelOptions{.architecture = "bitnet-b1.58", .type = "I2_S"}).open();
  const std::vector<BatchRequest> requests = mixed_requests(40);
  std::vector<GenerateResult> expected;
  for (const BatchRequest& request : requests) expected.push_back(alone(model, request, GetParam()));
  for (const std::size_t parallel : {1u, 2u, 8u, 32u}) {
    for (const unsigned threads : {1u, 2u}) {
      Batch batch(model, {.parallel = parallel, .context = kContext, .kv_type = GetParam(), .threads = threads});
      const std::vector<BatchResult> results = run(batch, requests);
      for (std::size_t i = 0; i < requests.size(); ++i) {
        EXPECT_FALSE(results[i].error) << *results[i].error;
        EXPECT_EQ(results[i].prompt_tokens, requests[i].prompt.size());
        expect_equal(results[i].generated, expected[i], i);
      }
      EXPECT_EQ(batch.progress().n_done, requests.size());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, BatchOf, testing::Values(KvType::kF16, KvType::kF32, KvType::kInt8));

TEST(Batch, ComputesASharedBeginningOnce) {
  const auto model = ModelFile(test::TinyModelOptions{.architecture = "llama", .type = "TQ2_0"}).open();
  std::mt19937 random(3);
  const std::vector<Token> beginning = random_tokens(random, 300);
  std::vector<BatchRequest> requests(12);
  std::size_t n_own = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].id = i;
    requests[i].prompt = beginning;
    requests[i].prompt.push_back(static_cast<Token>(i));  // all differ here
    for (const Token token : random_tokens(random, i)) requests[i].prompt.push_back(token);
    requests[i].options.max_tokens = 4;
    n_own += 1 + i;
  }
  Batch batch(model, {.parallel = 4, .context = kContext, .threads = 1});
  const std::vector<BatchResult> results = run(batch, requests);
  EXPECT_EQ(batch.progress().prompt_tokens, 300 + n_own);
  EXPECT_EQ(batch.progress().shared_tokens, 300 * (requests.size() - 1));
  for (std::size_t i = 1; i < requests.size(); ++i) EXPECT_EQ(results[i].shared_tokens, 300u) << i;
}

TEST(Batch, StaysWithinItsMemoryAndStillFinishes) {
  const auto model = ModelFile(test::TinyModelOptions{.architecture = "bitnet", .type = "TQ1_0"}).open();
  const std::vector<BatchRequest> requests = mixed_requests(20);
  // Room for the longest text alone: three pages. A page: keys and values of 256 positions in f16.
  const ModelSummary& m = model->summary();
  const std::uint64_t page = m.kv_bytes_per_token_f16 * 256;
  Batch small(model, {.parallel = 8, .memory_bytes = 3 * page, .context = kContext, .threads = 1});
  Batch large(model, {.parallel = 8, .context = kContext, .threads = 1});
  const std::vector<BatchResult> results = run(small, requests);
  const std::vector<BatchResult> expected = run(large, requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ASSERT_FALSE(results[i].error) << *results[i].error;
    expect_equal(results[i].generated, expected[i].generated, i);
  }
  Batch tiny(model, {.parallel = 8, .memory_bytes = page, .context = kContext, .threads = 1});
  std::size_t n_refused = 0;
  for (const BatchResult& result : run(tiny, requests)) n_refused += result.error ? 1 : 0;
  EXPECT_GT(n_refused, 0u);
  EXPECT_LT(n_refused, requests.size());
  EXPECT_THROW(Batch(model, {.memory_bytes = page / 2, .context = kContext}), Error);
}

TEST(Batch, RefusesOnlyTheRequestsThatAreWrong) {
  const auto model = ModelFile(test::TinyModelOptions{.architecture = "bitnet", .type = "TQ1_0"}).open();
  std::vector<BatchRequest> requests(6);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].id = i;
    requests[i].prompt = {1, 2, 3};
    requests[i].options.max_tokens = 3;
  }
  requests[0].prompt.clear();
  requests[1].prompt.assign(kContext + 1, 5);
  requests[2].prompt = {1, 1 << 20};
  requests[3].options.sampling.top_p = 2.0f;
  requests[4].options.sampling.logit_bias = {{1 << 20, 1.0f}};  // found out while sampling
  Batch batch(model, {.context = kContext, .threads = 2});
  const std::vector<BatchResult> results = run(batch, requests);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_TRUE(results[i].error) << i;
  EXPECT_FALSE(results[5].error);
  EXPECT_EQ(results[5].generated.tokens.size(), 3u);
}

TEST(Batch, EndsWhenTold) {
  const auto model = ModelFile(test::TinyModelOptions{.architecture = "bitnet", .type = "TQ1_0"}).open();
  const std::vector<BatchRequest> requests = mixed_requests(10);
  Batch batch(model, {.parallel = 4, .context = kContext, .threads = 1});
  std::size_t next = 0;
  const bool finished = batch.run({.next = [&] { return std::optional(requests[next++]); },
                                   .on_result = [](const BatchResult&) {},
                                   .keep_going = [](const BatchProgress& p) { return p.n_passes < 3; }});
  EXPECT_FALSE(finished);
  EXPECT_EQ(batch.progress().n_passes, 3u);
}

class LookupIn : public testing::TestWithParam<float> {};

/// A text that repeats itself, and one that does not, at some temperature.
TEST_P(LookupIn, GivesTheSameText) {
  const auto model = ModelFile(test::TinyModelOptions{.architecture = "qwen3", .type = "TQ2_0"}).open();
  std::size_t n_guessed = 0;
  std::size_t n_right = 0;
  for (unsigned seed = 0; seed < 12; ++seed) {
    std::mt19937 random(seed);
    std::vector<Token> prompt = random_tokens(random, 20);
    for (int i = 0; i < 3 && seed % 3 != 0; ++i) prompt.insert(prompt.end(), prompt.begin(), prompt.begin() + 20);
    GenerateOptions options{
        .max_tokens = 60, .sampling = {.temperature = GetParam(), .seed = seed}, .ignore_eos = true};
    if (seed % 4 == 1) options.sampling.logit_bias = {{7, 40.0f}};  // always the same token: every guess is right
    Session plain(model, {.context = 120, .threads = 1});
    const GenerateResult expected = generate(plain, prompt, options);
    options.lookup = true;
    Session session(model, {.context = 120, .threads = 2, .batch = 5});
    const GenerateResult result = generate(session, prompt, options);
    expect_equal(result, expected, seed);
    EXPECT_EQ(session.position(), plain.position());
    EXPECT_EQ(session.stats().logits_hash, plain.stats().logits_hash);
    EXPECT_EQ(session.stats().decode_tokens, plain.stats().decode_tokens);
    n_guessed += result.n_guessed;
    n_right += result.n_guessed_right;
  }
  EXPECT_GT(n_right, 0u);
  EXPECT_GE(n_guessed, n_right);
}

INSTANTIATE_TEST_SUITE_P(Temperatures, LookupIn, testing::Values(0.0f, 0.3f, 1.0f));

}  // namespace
}  // namespace tern
