#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/engine/loaded_model.h"
#include "tests/engine/model_file.h"
#include "tests/support/expect_error.h"

// Vectors of texts: what they are made of, and that nothing but the text decides on them.
namespace tern {
namespace {

using test::expect_error;
using test::ModelFile;
using test::TinyModelOptions;
using Vectors = std::vector<std::vector<float>>;

const TinyModelOptions kQwen3{.architecture = "qwen3", .input_norms = true};
const TinyModelOptions kGemma3{.architecture = "gemma3", .input_norms = true, .window = 5, .context = 400};

/// Texts of 1 to 330 tokens, which share passes in all ways.
std::vector<std::vector<Token>> many_texts() {
  std::vector<std::vector<Token>> texts;
  Token next = 3;
  for (const int n : {7, 1, 30, 2, 330, 11, 257, 64, 5, 5, 100, 1, 1, 1, 1, 90, 3, 256, 2, 12}) {
    std::vector<Token>& text = texts.emplace_back(static_cast<std::size_t>(n));
    for (Token& token : text) token = next = 3 + (next * 7 + 11) % 300;
  }
  return texts;
}

Vectors embed(Embedder& embedder, const std::vector<std::vector<Token>>& texts) {
  Vectors vectors;
  std::size_t n_read = 0;
  const bool finished =
      embedder.run({.next = [&] { return n_read < texts.size() ? std::optional(texts[n_read++]) : std::nullopt; },
                    .on_result =
                        [&](Embedding e) {
                          EXPECT_EQ(e.n_tokens, texts[vectors.size()].size());
                          vectors.push_back(std::move(e.values));
                        }});
  EXPECT_TRUE(finished);
  EXPECT_EQ(vectors.size(), texts.size());
  return vectors;
}

class Embeddings : public testing::TestWithParam<TinyModelOptions> {};

TEST_P(Embeddings, DependOnTheTextAlone) {
  const ModelFile file(GetParam());
  const auto model = file.open();
  std::vector<std::vector<Token>> texts = many_texts();
  for (auto& text : texts) text.resize(std::min(text.size(), model->summary().context_length));
  for (const Pooling pooling : {Pooling::kLast, Pooling::kMean}) {
    Vectors alone;
    for (const auto& text : texts) {
      Embedder embedder(model, {.pooling = pooling, .threads = 1});
      alone.push_back(embed(embedder, {text})[0]);
    }
    for (const unsigned threads : {1u, 3u}) {
      Embedder embedder(model, {.pooling = pooling, .threads = threads});
      EXPECT_EQ(embed(embedder, texts), alone) << threads;
      EXPECT_EQ(embed(embedder, texts), alone) << threads << ", with pages that were used before";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Embed, Embeddings, testing::Values(kQwen3, kGemma3),
                         [](const auto& test) { return test.param.architecture; });

/// The logits of a tied head are the embedding's products with the final state, which is the last token's vector.
TEST(Embed, LastTokenGivesTheFinalState) {
  const ModelFile file(kGemma3);
  const auto model = file.open("auto", HeadType::kFile);
  const std::vector<Token> tokens = {1, 50, 60, 70, 80, 90, 100, 110};
  Embedder embedder(model, {.normalize = false, .threads = 1});
  const std::vector<float> state = embed(embedder, {tokens})[0];
  Session session(model, {.threads = 1});
  const std::span<const float> logits = session.evaluate(tokens);
  const nn::DenseMatrix& rows = model->loaded().architecture->embedding().dense;
  std::vector<float> row(state.size());
  for (std::size_t token = 0; token < logits.size(); ++token) {
    rows.decode_row(token, row.data());
    double product = 0.0, magnitude = 0.0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      product += double{row[i]} * double{state[i]};
      magnitude += std::fabs(double{row[i]} * double{state[i]});
    }
    // A product and 256 / 16 + 4 additions in float.
    EXPECT_NEAR(double{logits[token]}, product, 21.0 * 0x1p-24 * magnitude) << token;
  }
}

TEST(Embed, MeanIsThatOfAllTokens) {
  const ModelFile file(kQwen3);
  const auto model = file.open();
  const std::vector<Token> tokens = {9, 50, 60, 70};
  Embedder last(model, {.normalize = false, .threads = 1});
  Embedder mean(model, {.pooling = Pooling::kMean, .normalize = false, .threads = 1});
  std::vector<double> expected(last.dim());
  for (std::size_t n = 1; n <= tokens.size(); ++n) {
    const auto begin = embed(last, {{tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n)}})[0];
    for (std::size_t i = 0; i < begin.size(); ++i) expected[i] += double{begin[i]} / 4.0;
  }
  const std::vector<float> found = embed(mean, {tokens})[0];
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_FLOAT_EQ(found[i], static_cast<float>(expected[i])) << i;
}

TEST(Embed, NormalizesToLengthOne) {
  const ModelFile file(kQwen3);
  const auto model = file.open();
  const std::vector<std::string> texts = {"Once upon a time", "there was", "Once upon a time"};
  Embedder embedder(model);
  Embedder plain(model, {.normalize = false});
  const std::vector<float> rows = embedder.embed(texts);
  const std::span<const float> all = rows;
  const std::size_t dim = embedder.dim();
  ASSERT_EQ(rows.size(), 3 * dim);
  const auto first = all.first(dim), second = all.subspan(dim, dim), third = all.last(dim);
  EXPECT_NEAR(std::inner_product(first.begin(), first.end(), first.begin(), 0.0), 1.0, 1e-6);
  EXPECT_TRUE(std::ranges::equal(first, third));
  EXPECT_NEAR(cosine_similarity(first, third), 1.0, 1e-12);
  EXPECT_NEAR(cosine_similarity(first, second), std::inner_product(first.begin(), first.end(), second.begin(), 0.0),
              1e-6);
  EXPECT_NEAR(cosine_similarity(plain.embed(texts), rows), 1.0, 1e-2);  // rows of nearly the same length
  EXPECT_EQ(cosine_similarity(std::vector<float>{0.0f}, std::vector<float>{1.0f}), 0.0);
  expect_error(ErrorKind::kInvalidArgument, "1 and 2 numbers",
               [] { static_cast<void>(cosine_similarity(std::vector<float>(1), std::vector<float>(2))); });
}

TEST(Embed, CutsLongTextsWhenAsked) {
  test::GgufBuilder builder = test::make_tiny_model(kQwen3);
  builder.add("tokenizer.ggml.add_eos_token", true);
  const ModelFile file(builder.build());
  const auto model = file.open();
  Embedder strict(model, {.context = 6});
  Embedder cutting(model, {.truncate = true, .context = 6});
  EXPECT_EQ(strict.encode("abcd"), (std::vector<Token>{0, 100, 101, 102, 103, 1}));
  EXPECT_EQ(cutting.encode("abcdefg"), strict.encode("abcd"));
  expect_error(ErrorKind::kInvalidArgument, "a text of 7 tokens does not fit in the context of 6 tokens",
               [&] { static_cast<void>(strict.encode("abcde")); });
  expect_error(ErrorKind::kInvalidArgument, "token 5000 is not in the vocabulary", [&] { embed(strict, {{5000}}); });
  expect_error(ErrorKind::kInvalidArgument, "a text without tokens", [&] { embed(strict, {{}}); });
}

TEST(Embed, RefusesWhatTheMemoryDoesNotHold) {
  const ModelFile file(kGemma3);
  const auto model = file.open();
  const std::uint64_t page = model->summary().kv_bytes_per_token_f16 * 256;
  Embedder embedder(model, {.pooling = Pooling::kMean, .memory_bytes = 2 * page});
  Embedder large(model, {.pooling = Pooling::kMean});
  const std::vector<std::vector<Token>> texts = many_texts();
  EXPECT_EQ(embed(embedder, texts), embed(large, texts));
  Embedder small(model, {.memory_bytes = page});
  expect_error(ErrorKind::kInvalidArgument, "the keys and values of 330 tokens need", [&] { embed(small, texts); });
  EXPECT_EQ(embed(small, {{5}}).size(), 1u);  // goes on after an error
}

Pooling pooling_of(const std::string& architecture, bool input_norms, std::uint32_t type) {
  test::GgufBuilder builder = test::make_tiny_model({.architecture = architecture, .input_norms = input_norms});
  builder.add(architecture + ".pooling_type", type);
  return Embedder(ModelFile(builder.build()).open()).pooling();
}

TEST(Embed, PoolingIsThatOfTheFile) {
  EXPECT_EQ(pooling_of("llama", false, 0), Pooling::kLast);
  EXPECT_EQ(pooling_of("llama", false, 1), Pooling::kMean);
  EXPECT_EQ(pooling_of("llama", false, 3), Pooling::kLast);
  EXPECT_EQ(pooling_of("qwen3", true, 1), Pooling::kLast);  // trained so, whatever the file says
  expect_error(ErrorKind::kUnsupported, "key llama.pooling_type: expected 1 (mean) or 3 (last), found 2",
               [] { pooling_of("llama", false, 2); });
}

TEST(Embed, StopsWhenAsked) {
  const ModelFile file(kQwen3);
  Embedder embedder(file.open());
  EXPECT_FALSE(embedder.run({.next = [] { return std::optional(std::vector<Token>(100, 5)); },
                             .on_result = [](const Embedding&) {},
                             .keep_going = [] { return false; }}));
}

TEST(Embed, ModelsForItDoNotGenerate) {
  const ModelFile file(kGemma3);
  const auto model = file.open();
  EXPECT_TRUE(model->summary().embedding_only);
  EXPECT_EQ(model->summary().head_type, "none");
  Session session(model);
  const std::vector<Token> prompt = {5};
  expect_error(ErrorKind::kUnsupported, "an embedding model", [&] { generate(session, prompt, {}); });
  expect_error(ErrorKind::kUnsupported, "an embedding model", [&] { Batch batch(model); });
  EXPECT_FALSE(ModelFile({.architecture = "gemma3"}).open()->summary().embedding_only);
}

}  // namespace
}  // namespace tern
