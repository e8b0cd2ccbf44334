#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "src/engine/loaded_model.h"
#include "tests/engine/model_file.h"
#include "tests/support/expect_error.h"

namespace tern {
namespace {

using test::find_tensor;
using test::GgufBuilder;
using test::ModelFile;

/// A model that is broken in one way, and what the message must name.
struct Broken {
  const char* name;
  std::function<void(GgufBuilder&)> damage;
  ErrorKind kind;
  std::vector<const char*> named;
};

void put_f32(std::vector<std::byte>& data, std::size_t at, float value) {
  std::memcpy(data.data() + at, &value, sizeof value);
}

void remove_tensor(GgufBuilder& model, std::string_view name) {
  std::erase_if(model.tensors, [&](const auto& tensor) { return tensor.name == name; });
}

/// Another value for a key.
template <typename T>
void set(GgufBuilder& model, std::string_view key, const T& value) {
  model.remove(key).add(key, value);
}

const Broken kBroken[] = {
    {"missing_tensor",
     [](GgufBuilder& m) { remove_tensor(m, "blk.1.ffn_up.weight"); },
     ErrorKind::kBadFile,
     {"blk.1.ffn_up.weight", "missing"}},
    {"missing_norm",
     [](GgufBuilder& m) { remove_tensor(m, "output_norm.weight"); },
     ErrorKind::kBadFile,
     {"output_norm.weight", "missing"}},
    {"swapped_shape",
     [](GgufBuilder& m) {
       std::swap(find_tensor(m, "blk.0.ffn_down.weight").dims[0], find_tensor(m, "blk.0.ffn_down.weight").dims[1]);
     },
     ErrorKind::kBadFile,
     {"blk.0.ffn_down.weight", "expected shape (256, 512)", "found (512, 256)"}},
    {"unknown_tensor",
     [](GgufBuilder& m) { find_tensor(m, "blk.0.attn_sub_norm.weight").name = "blk.0.attn_q_norm_in.weight"; },
     ErrorKind::kBadFile,
     {"blk.0.attn_sub_norm.weight", "missing"}},
    {"extra_tensor",
     [](GgufBuilder& m) {
       m.add_tensor("blk.0.extra.weight", 0, {2}, std::vector<float>{1.0f, 2.0f});
     },
     ErrorKind::kUnsupported,
     {"blk.0.extra.weight"}},
    {"nan_scale",
     [](GgufBuilder& m) {
       auto& data = find_tensor(m, "blk.0.attn_q.weight").data;
       put_f32(data, data.size() - 32, std::nanf(""));
     },
     ErrorKind::kBadFile,
     {"blk.0.attn_q.weight", "scale", "nan"}},
    {"code_3",
     [](GgufBuilder& m) { find_tensor(m, "blk.1.attn_k.weight").data[70] = std::byte{0xff}; },
     ErrorKind::kBadFile,
     {"blk.1.attn_k.weight", "row 1", "found 3"}},
    {"nan_norm",
     [](GgufBuilder& m) { put_f32(find_tensor(m, "blk.0.ffn_norm.weight").data, 8, std::nanf("")); },
     ErrorKind::kBadFile,
     {"blk.0.ffn_norm.weight", "finite"}},
    {"unknown_architecture",
     [](GgufBuilder& m) { set(m, "general.architecture", "mamba\x1b"); },
     ErrorKind::kUnsupported,
     {"mamba\\x1b", "bitnet-b1.58", "qwen3"}},
    {"no_architecture",
     [](GgufBuilder& m) { m.remove("general.architecture"); },
     ErrorKind::kBadFile,
     {"general.architecture"}},
    {"rotated_weights",
     [](GgufBuilder& m) { m.add("prism.hadamard.block_size", 128u); },
     ErrorKind::kUnsupported,
     {"prism.hadamard.block_size", "rotated"}},
    {"no_layers", [](GgufBuilder& m) { set(m, "bitnet-b1.58.block_count", 0u); }, ErrorKind::kBadFile, {"block_count"}},
    {"too_many_layers",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.block_count", 4000000000u); },
     ErrorKind::kBadFile,
     {"block_count"}},
    {"heads_do_not_divide",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.attention.head_count_kv", 3u); },
     ErrorKind::kBadFile,
     {"3", "4"}},
    {"odd_rope",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.rope.dimension_count", 63u); },
     ErrorKind::kBadFile,
     {"rope.dimension_count", "63"}},
    {"unknown_rope_scaling",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.rope.scaling.type", "dynamic"); },
     ErrorKind::kUnsupported,
     {"rope.scaling.type", "dynamic"}},
    {"longrope_without_factors",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.rope.scaling.type", "longrope"); },
     ErrorKind::kBadFile,
     {"rope_factors_short.weight", "missing"}},
    {"softcapping",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.final_logit_softcapping", 30.0f); },
     ErrorKind::kUnsupported,
     {"final_logit_softcapping"}},
    {"other_yarn",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.rope.scaling.yarn_beta_fast", 8.0f); },
     ErrorKind::kUnsupported,
     {"rope.scaling.yarn_beta_fast"}},
    {"unknown_key_of_attention",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.attention.made_up", 1u); },
     ErrorKind::kUnsupported,
     {"key bitnet-b1.58.attention.made_up"}},
    {"parallel_residual",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.use_parallel_residual", true); },
     ErrorKind::kUnsupported,
     {"use_parallel_residual"}},
    {"epsilon_beyond_floats",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.attention.layer_norm_rms_epsilon", 1e300); },
     ErrorKind::kBadFile,
     {"layer_norm_rms_epsilon", "1e+300"}},
    {"experts",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.expert_count", 8u); },
     ErrorKind::kUnsupported,
     {"expert_count"}},
    {"sliding_window",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.attention.sliding_window", 128u); },
     ErrorKind::kUnsupported,
     {"sliding_window"}},
    {"negative_theta",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.rope.freq_base", -1.0f); },
     ErrorKind::kBadFile,
     {"rope.freq_base"}},
    {"key_of_wrong_type",
     [](GgufBuilder& m) { set(m, "bitnet-b1.58.embedding_length", "256"); },
     ErrorKind::kBadFile,
     {"embedding_length"}},
    {"more_tokens_than_rows",
     [](GgufBuilder& m) {
       auto& embedding = find_tensor(m, "token_embd.weight");
       embedding.dims[1] -= 10;
       embedding.data.resize(embedding.dims[0] * embedding.dims[1] * 2);
     },
     ErrorKind::kBadFile,
     {"token_embd.weight", "310", "300"}},
};

class OpenBroken : public testing::TestWithParam<Broken> {};

TEST_P(OpenBroken, FailsWithOneLineThatNamesTheCause) {
  GgufBuilder model = test::make_tiny_model({.type = "I2_S"});
  GetParam().damage(model);
  const ModelFile file(model.build());
  try {
    static_cast<void>(file.open());
    FAIL() << "opened";
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_EQ(error.kind(), GetParam().kind) << what;
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    EXPECT_NE(what.find(file.path().string()), std::string::npos) << what;
    for (const char* part : GetParam().named)
      EXPECT_NE(what.find(part), std::string::npos) << what << " lacks " << part;
  }
}

INSTANTIATE_TEST_SUITE_P(Engine, OpenBroken, testing::ValuesIn(kBroken),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Open, ATokenizerNeedsAFile) {
  test::expect_error(ErrorKind::kIo, "no-such-file.gguf",
                     [] { static_cast<void>(Tokenizer::open("no-such-file.gguf")); });
}

TEST(Open, ReportsProgressUpToTheEnd) {
  const ModelFile file(test::TinyModelOptions{});
  std::vector<double> shares;
  static_cast<void>(Model::open(file.path(), {.threads = 1, .on_progress = [&](double s) { shares.push_back(s); }}));
  ASSERT_FALSE(shares.empty());
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_EQ(shares.back(), 1.0);
}

TEST(Open, InspectDescribesWithoutLoading) {
  GgufBuilder model = test::make_tiny_model({.type = "I2_S"});
  put_f32(find_tensor(model, "blk.0.attn_q.weight").data, find_tensor(model, "blk.0.attn_q.weight").data.size() - 32,
          NAN);
  const ModelFile file(model.build());
  const ModelSummary summary = inspect(file.path());  // does not read the scale
  EXPECT_EQ(summary.architecture, "bitnet-b1.58");
  EXPECT_EQ(summary.n_layers, 2u);
  EXPECT_EQ(summary.vocab_size, 310u);
  EXPECT_TRUE(summary.tied_embeddings);
  EXPECT_EQ(summary.n_ternary_weights, 2u * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 256 * 512));
  EXPECT_EQ(summary.tensors.size(), model.tensors.size());
  EXPECT_GE(summary.ternary_bytes, summary.n_ternary_weights / 5);  // 1.6 bits or more
}

TEST(Open, HoistsScalesThatAreAllEqual) {
  const ModelFile equal(test::TinyModelOptions{.type = "TQ2_0"});
  EXPECT_EQ(equal.open()->summary().ternary_scales, "tensor");
  const ModelFile different(test::TinyModelOptions{.type = "TQ2_0", .one_scale = false});
  EXPECT_EQ(different.open()->summary().ternary_scales, "block 256, row");  // rows of 512 and of 256
}

TEST(Open, AppliesBiasAndScaleTensors) {
  GgufBuilder plain = test::make_tiny_model({.type = "I2_S"});
  GgufBuilder scaled = plain;
  // A scale tensor of 2 equals a weight scale that is twice as large.
  scaled.add_tensor("blk.0.ffn_up.scale", 0, {1}, std::vector<float>{2.0f});
  auto& data = find_tensor(plain, "blk.0.ffn_up.weight").data;
  float scale = 0.0f;
  std::memcpy(&scale, data.data() + data.size() - 32, sizeof scale);
  put_f32(data, data.size() - 32, 2.0f * scale);
  const std::vector<Token> tokens = {1, 2, 3, 4, 5};
  const ModelFile plain_file(plain.build()), scaled_file(scaled.build());
  Session a(plain_file.open(), {}), b(scaled_file.open(), {});
  EXPECT_EQ(test::all_logits(a, tokens), test::all_logits(b, tokens));

  std::vector<float> bias(256);
  bias[100] = 1.0f;
  scaled.add_tensor("blk.0.attn_q.bias", 0, {256}, bias);
  const ModelFile biased_file(scaled.build());
  Session c(biased_file.open(), {});
  EXPECT_NE(test::all_logits(c, tokens), test::all_logits(a, tokens));
}

TEST(Open, LayersWithAWindowMayBeListed) {
  const auto open = [](const std::vector<std::int32_t>& pattern) {
    GgufBuilder model = test::make_tiny_model({.architecture = "gemma3", .window = 5});
    set(model, "gemma3.attention.sliding_window_pattern", pattern);
    return ModelFile(model.build()).open()->loaded().architecture->config().is_local;
  };
  EXPECT_EQ(open({0, 1}), (std::vector<bool>{false, true}));
  EXPECT_EQ(ModelFile({.architecture = "gemma3", .window = 5}).open()->loaded().architecture->config().is_local,
            (std::vector<bool>{true, false}));
  test::expect_error(ErrorKind::kBadFile, "sliding_window_pattern: expected 2 values, found 3", [&] {
    open({1, 1, 0});
  });
}

TEST(Open, ScalesOfMiniCpmHaveToBeThere) {
  for (const char* key : {"minicpm.embedding_scale", "minicpm.residual_scale", "minicpm.logit_scale"}) {
    GgufBuilder model = test::make_tiny_model({.architecture = "minicpm"});
    model.remove(key);
    test::expect_error(ErrorKind::kBadFile, std::string("key ") + key + " is missing",
                       [&] { static_cast<void>(ModelFile(model.build()).open()); });
  }
}

}  // namespace
}  // namespace tern
