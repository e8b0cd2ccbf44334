#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "tests/engine/model_file.h"
#include "tests/support/pack_ternary.h"

/// Every ternary type in the layers, and in embedding and head, with a scale for each of its blocks or rows.
namespace tern {
namespace {

using test::ModelFile;
using test::TinyModelOptions;

const std::vector<Token> kTokens = {1, 17, 250, 33, 99, 200, 201, 202, 64, 128};

std::vector<float> logits_of(const TinyModelOptions& options, HeadType head = HeadType::kFile) {
  const ModelFile file(options);
  Session session(file.open("auto", head), {.kv_type = KvType::kF32, .threads = 2});
  return test::all_logits(session, kTokens);
}

std::string name_of(const testing::TestParamInfo<const char*>& info) { return info.param; }

// --- layers -------------------------------------------------------------------------------------------------------

struct SameWeights {
  const char* name;
  std::vector<const char*> types;
  bool zeros = true;
};

class TypesWithTheSameWeights : public testing::TestWithParam<SameWeights> {};

TEST_P(TypesWithTheSameWeights, GiveTheSameBits) {
  const auto& [name, types, zeros] = GetParam();
  std::vector<float> expected;
  for (const char* type : types) {
    const std::vector<float> logits =
        logits_of({.architecture = "qwen3", .type = type, .one_scale = false, .zeros = zeros});
    if (expected.empty()) expected = logits;
    EXPECT_EQ(logits, expected) << type;
  }
}

INSTANTIATE_TEST_SUITE_P(Engine, TypesWithTheSameWeights,
                         testing::Values(SameWeights{"BlocksOf256", {"TQ1_0", "TQ2_0"}},
                                         SameWeights{"BlocksOf128", {"PQ2_0", "Q2_0_128", "PTQ1_0"}},
                                         SameWeights{"BlocksOf128WithoutZeros", {"PQ2_0", "Q1_0"}, false},
                                         SameWeights{"Rows", {"IQ1_BN", "IQ2_BN", "IQ2_BN_R4"}}),
                         [](const auto& test) { return std::string(test.param.name); });

class TernaryType : public testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] static TinyModelOptions options() {
    return {.type = GetParam(), .one_scale = false, .zeros = std::string(GetParam()) != "Q1_0", .vocab_rows = 312};
  }
};

/// The float layers see activations that are not rounded to int8: each of its 14 layers adds up to half a step in 127
/// of the largest, which is a few times a typical one.
constexpr double kActivationBound = 0.04;

TEST_P(TernaryType, IsNearTheSameWeightsInF16) {
  TinyModelOptions as_floats = options();
  as_floats.type = "F16";
  as_floats.scale_cols = test::find_packing(GetParam()).scale_cols;
  if (as_floats.scale_cols == 0) as_floats.scale_cols = 1 << 20;  // rows
  const double error = test::relative_rms(logits_of(options()), logits_of(as_floats));
  EXPECT_LT(error, kActivationBound);
  EXPECT_GT(error, 1e-4);
}

// --- embedding and head -------------------------------------------------------------------------------------------

TEST_P(TernaryType, AsEmbeddingAndHeadIsReadExactly) {
  for (const bool tied : {true, false}) {
    TinyModelOptions ternary = options();
    ternary.type = "F16";
    ternary.embedding_type = GetParam();
    ternary.scale_cols = test::find_packing(GetParam()).scale_cols;
    if (ternary.scale_cols == 0) ternary.scale_cols = 1 << 20;  // rows
    ternary.tied_embeddings = tied;
    TinyModelOptions as_floats = ternary;
    as_floats.embedding_type = "F16";
    const std::vector<float> expected = logits_of(as_floats);
    EXPECT_EQ(logits_of(ternary), expected);
    const double error = test::relative_rms(logits_of(ternary, HeadType::kInt8), expected);
    EXPECT_LT(error, 0.02);  // the hidden state in int8
    EXPECT_GT(error, 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Engine, TernaryType,
                         testing::Values("TQ1_0", "TQ2_0", "Q1_0", "Q2_0", "PQ2_0", "PTQ1_0", "IQ1_BN", "IQ2_BN",
                                         "IQ2_BN_R4"),
                         name_of);

class TernaryHead : public testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] static TinyModelOptions options() {
    return {.type = "PQ2_0", .embedding_type = "PQ2_0", .one_scale = false, .tied_embeddings = GetParam()};
  }
};

TEST_P(TernaryHead, DoesNotDependOnTheKernel) {
  const ModelFile file(options());
  std::vector<float> expected;
  for (const kernels::TernaryKernel* kernel : kernels::runnable_ternary_kernels(kernels::usable_isa())) {
    Session session(file.open(kernel->name), {.threads = 2});
    const std::vector<float> logits = test::all_logits(session, kTokens);
    if (expected.empty()) expected = logits;
    EXPECT_EQ(logits, expected) << kernel->name;
  }
}

TEST_P(TernaryHead, IsDescribed) {
  const ModelFile file(options());
  const std::uint64_t file_bytes = 310 * 256 / 128 * 34;
  const ModelSummary packed = file.open()->summary();
  EXPECT_EQ(packed.head_type, "PQ2_0");
  EXPECT_EQ(packed.head_kernel, packed.decode_kernel);
  EXPECT_EQ(packed.embedding_bytes, file_bytes);
  EXPECT_GE(packed.head_bytes, 310u * 256 / 5);
  EXPECT_LT(packed.head_bytes, 310u * 256 / 2);
  EXPECT_EQ(packed.bytes_read_per_token, packed.ternary_bytes + packed.float_bytes + packed.head_bytes);
  EXPECT_EQ(packed.n_ternary_weights, 2u * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 256 * 512));

  const ModelSummary as_file = file.open("auto", HeadType::kFile)->summary();
  EXPECT_EQ(as_file.head_type, "PQ2_0");
  EXPECT_EQ(as_file.head_kernel, as_file.float_kernel);
  EXPECT_EQ(as_file.head_bytes, file_bytes);
  EXPECT_EQ(as_file.embedding_bytes, GetParam() ? 0u : file_bytes);
  EXPECT_EQ(as_file.ternary_bytes, packed.ternary_bytes);

  const ModelSummary inspected = inspect(file.path());
  EXPECT_EQ(inspected.head_type, packed.head_type);
  EXPECT_EQ(inspected.head_kernel, packed.head_kernel);
  EXPECT_GT(inspected.head_bytes, 0u);
  EXPECT_LE(inspected.head_bytes, packed.head_bytes);
}

TEST_P(TernaryHead, IsCheckedBeforeItIsUsed) {
  for (const HeadType head : {HeadType::kInt8, HeadType::kFile}) {
    for (const bool code : {true, false}) {
      test::GgufBuilder model = test::make_tiny_model(options());
      auto& data = test::find_tensor(model, "token_embd.weight").data;
      const std::size_t block = 300 * 2 * 34;
      data[block + (code ? 2 : 1)] = std::byte{0xff};  // four codes of 3, or a scale that is not a number
      const ModelFile file(model.build());
      try {
        static_cast<void>(file.open("auto", head));
        FAIL() << "opened";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kBadFile);
        EXPECT_NE(std::string(error.what()).find("token_embd.weight"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("row 300"), std::string::npos) << error.what();
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engine, TernaryHead, testing::Bool(),
                         [](const auto& test) { return std::string(test.param ? "tied" : "own"); });

}  // namespace
}  // namespace tern
