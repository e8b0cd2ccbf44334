#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "tests/engine/model_file.h"
#include "tests/support/expect_error.h"

// What the library measures: that it measures what it says, not how fast this machine is.
namespace tern::test {
namespace {

const SpeedPoint& find_point(const ModelBenchmark& benchmark, const std::string& phase, std::size_t texts,
                             std::size_t depth) {
  const auto found = std::ranges::find_if(benchmark.points, [&](const SpeedPoint& point) {
    return point.phase == phase && point.texts == texts && point.depth == depth;
  });
  if (found == benchmark.points.end()) throw std::runtime_error("no such point");
  return *found;
}

TEST(BenchModel, MeasuresWhatItWasAskedFor) {
  const ModelFile file({.architecture = "llama"});
  const auto model = file.open();
  const ModelBenchmark benchmark = bench_model(model, {.prompt_tokens = {8},
                                                       .texts = {1, 3},
                                                       .depths = {0, 5},
                                                       .threads = {1},
                                                       .generated_tokens = 2,
                                                       .repetitions = 2,
                                                       .warm_up = 0});
  EXPECT_TRUE(benchmark.complete);
  ASSERT_EQ(benchmark.points.size(), 6u);
  for (const SpeedPoint& point : benchmark.points) {
    EXPECT_EQ(point.seconds.size(), 2u);
    EXPECT_GT(point.limit_seconds, 0.0);
    EXPECT_EQ(point.threads, 1u);
  }
  ASSERT_EQ(benchmark.limits.size(), 1u);
  EXPECT_EQ(benchmark.limits[0].read_bytes_per_s.size(), 2u);

  // Two tokens of three texts: the weights twice, the keys and values of positions 6 and 7 three times.
  const ModelSummary& s = model->summary();
  const SpeedPoint& together = find_point(benchmark, "decode", 3, 5);
  EXPECT_EQ(together.total_tokens(), 6u);
  EXPECT_EQ(together.bytes, 2 * s.bytes_read_per_token + 3 * 13 * s.kv_bytes_per_token_f16);
  EXPECT_DOUBLE_EQ(together.macs, 6.0 * static_cast<double>(s.n_ternary_weights + s.vocab_size * s.dim));
  const SpeedPoint& prompt = find_point(benchmark, "prompt", 1, 0);
  EXPECT_EQ(prompt.bytes, s.bytes_read_per_token + 8 * s.kv_bytes_per_token_f16);
}

TEST(BenchModel, StopsWhenAskedTo) {
  const ModelFile file({.architecture = "llama"});
  std::size_t n_calls = 0;
  double last = 0.0;
  const ModelBenchmark benchmark = bench_model(
      file.open(),
      {.prompt_tokens = {4}, .threads = {1}, .generated_tokens = 1, .warm_up = 0, .on_progress = [&](double share) {
         EXPECT_GE(share, last);
         last = share;
         return ++n_calls < 3;
       }});
  EXPECT_EQ(n_calls, 3u);
  EXPECT_FALSE(benchmark.complete);
  ASSERT_EQ(benchmark.points.size(), 1u);  // the first: what has no samples is left out
  EXPECT_EQ(benchmark.points[0].phase, "prompt");
}

TEST(BenchModel, RefusesWhatDoesNotFit) {
  const ModelFile file({.architecture = "llama", .context = 64});
  const auto model = file.open();
  const auto refuse = [&](const char* words, const ModelBenchOptions& options) {
    expect_error(ErrorKind::kInvalidArgument, words, [&] { static_cast<void>(bench_model(model, options)); });
  };
  refuse("65 tokens after 0", {.prompt_tokens = {65}});
  refuse("32 tokens after 40", {.prompt_tokens = {}, .depths = {40}});
  refuse("nothing to measure", {.prompt_tokens = {}, .generated_tokens = 0});
  refuse("nothing to measure", {.prompt_tokens = {1}, .repetitions = 0});
  refuse("texts together", {.prompt_tokens = {1}, .texts = {0}});
}

TEST(Limits, AreMeasuredOnTheThreadsAskedFor) {
  const MachineLimits limits = measure_limits(1 << 20, 2, 3);
  EXPECT_EQ(limits.threads, 2u);
  EXPECT_EQ(limits.read_bytes, 1u << 20);
  ASSERT_EQ(limits.read_bytes_per_s.size(), 3u);
  EXPECT_GT(*std::ranges::min_element(limits.read_bytes_per_s), 1e6);
  EXPECT_EQ(limits.int8_macs_per_s.size(), limits.int8_instruction.empty() ? 0u : 3u);
  expect_error(ErrorKind::kInvalidArgument, "memory", [] { static_cast<void>(measure_limits(0, 1, 1)); });
}

// --- prediction -------------------------------------------------------------------------------------------------

ModelShape tiny_shape(const ModelSummary& s) {
  return {.name = "tiny",
          .architecture = s.architecture,
          .n_layers = s.n_layers,
          .dim = s.dim,
          .ffn_dim = s.ffn_dim,
          .n_heads = s.n_heads,
          .n_kv_heads = s.n_kv_heads,
          .head_dim = s.head_dim,
          .vocab_size = s.vocab_size,
          .context_length = s.context_length,
          .head = s.embedding_only    ? HeadKind::kNone
                  : s.tied_embeddings ? HeadKind::kTied
                                      : HeadKind::kOwn,
          .scale_cols = s.scale_cols};
}

TEST(Predict, CountsTheBytesOfARealModel) {
  for (const test::TinyModelOptions& options : std::vector<test::TinyModelOptions>{
           {.architecture = "bitnet"},
           {.architecture = "bitnet-b1.58", .tied_embeddings = false},
           {.architecture = "gemma3"},
           {.architecture = "gemma3", .input_norms = true},
           {.architecture = "llama", .tied_embeddings = false},
           {.architecture = "minicpm"},
           {.architecture = "qwen3"},
           {.architecture = "qwen3", .input_norms = true},
           {.architecture = "qwen3", .type = "Q2_0", .one_scale = false},
           {.architecture = "qwen3", .type = "PQ2_0", .embedding_type = "PQ2_0", .one_scale = false},
       }) {
    const ModelFile file(options);
    const ModelSummary s = file.open()->summary();
    EXPECT_EQ(s.scale_cols, options.one_scale ? 0u : options.type == "PQ2_0" ? 128u : 64u);
    ModelShape shape = tiny_shape(s);
    shape.ternary_head = !options.embedding_type.empty();
    // With the threads of open(): kernels are chosen for a number of threads.
    const Prediction p = predict(shape, {.prompt_tokens = 4, .context = 100, .threads = 2, .seconds = 0});
    SCOPED_TRACE(options.architecture);
    EXPECT_EQ(p.n_parameters, s.n_parameters);
    EXPECT_EQ(p.head_bytes, s.head_bytes);
    EXPECT_EQ(p.float_bytes, s.float_bytes);
    EXPECT_EQ(p.kv_bytes_per_token, s.kv_bytes_per_token_f16);
    EXPECT_EQ(p.kv_bytes, 100 * s.kv_bytes_per_token_f16);
    EXPECT_EQ(p.decode_kernel, s.decode_kernel);
    // A loaded model counts the one scale of a matrix too, four bytes.
    EXPECT_EQ(p.ternary_bytes + (options.one_scale ? 4 * 7 * s.n_layers : 0), s.ternary_bytes);
    EXPECT_EQ(p.layers_measured, s.n_layers);
    EXPECT_GE(p.decode_seconds.size(), 3u);
    EXPECT_GE(p.prompt_seconds.size(), 3u);
  }
}

TEST(Predict, KnowsEveryPublishedShape) {
  for (const ModelShape& shape : published_models()) {
    SCOPED_TRACE(shape.name);
    EXPECT_EQ(shape.n_heads % shape.n_kv_heads, 0u);
    EXPECT_GT(shape.context_length, 0u);
    std::smatch billions;  // "8B" of its name; models of "1B" have up to 1.7e9 parameters
    if (!std::regex_search(shape.name, billions, std::regex("([0-9.]+)B"))) continue;
    const double layer = static_cast<double>(2 * shape.dim * shape.head_dim * (shape.n_heads + shape.n_kv_heads) +
                                             3 * shape.dim * shape.ffn_dim);
    const double total =
        static_cast<double>(shape.n_layers) * layer + static_cast<double>(shape.vocab_size * shape.dim);
    EXPECT_GT(total / 1e9 / std::stod(billions[1]), 0.8);
    EXPECT_LT(total / 1e9 / std::stod(billions[1]), 1.75);
  }
}

TEST(Predict, RefusesSizesThatNoModelHas) {
  const ModelShape good = {.name = "x",
                           .architecture = "llama",
                           .n_layers = 1,
                           .dim = 256,
                           .ffn_dim = 256,
                           .n_heads = 4,
                           .n_kv_heads = 2,
                           .head_dim = 64,
                           .vocab_size = 100,
                           .context_length = 128};
  const auto refuse = [&](const char* words, auto change) {
    ModelShape shape = good;
    change(shape);
    expect_error(ErrorKind::kInvalidArgument, words,
                 [&] { static_cast<void>(predict(shape, {.prompt_tokens = 1, .seconds = 0})); });
  };
  refuse("layers", [](ModelShape& s) { s.n_layers = 0; });
  refuse("dimensions", [](ModelShape& s) { s.dim = std::size_t{1} << 40; });
  refuse("feed-forward", [](ModelShape& s) { s.ffn_dim = std::size_t{1} << 31; });
  refuse("key-value heads", [](ModelShape& s) { s.n_kv_heads = 8; });
  refuse("equal groups", [](ModelShape& s) { s.n_kv_heads = 3; });
  refuse("even size", [](ModelShape& s) { s.head_dim = 63; });
  refuse("share a scale", [](ModelShape& s) { s.scale_cols = 96; });
  refuse("vocabulary", [](ModelShape& s) { s.vocab_size = 0; });
  expect_error(ErrorKind::kInvalidArgument, "trained for 128",
               [&] { static_cast<void>(predict(good, {.prompt_tokens = 129, .seconds = 0})); });
}

}  // namespace
}  // namespace tern::test
