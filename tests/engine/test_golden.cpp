#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "tests/engine/model_file.h"

/// Logits against those of an independent implementation in double precision; tests/data/README.md says how they were
/// made.
namespace tern {
namespace {

const std::vector<Token> kTokens = {1, 17, 250, 33, 99,  200, 201, 202, 64,  128,
                                    5, 77, 78,  79, 140, 3,   19,  222, 111, 42};

// Every activation is rounded to int8 as in double precision unless it lies within float rounding of a tie, which none
// of these does. What remains are roundings of 2^-24 each, a few thousand of them in a row at most.
constexpr double kF32Bound = 1e-5;
// Rounding keys and values to f16 moves single activations across a tie, each by 1/127.
constexpr double kF16Bound = 0.05;

std::vector<float> read_floats(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  if (!in) return {};
  std::vector<float> values(std::filesystem::file_size(path) / sizeof(float));
  in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

double error_of(const std::shared_ptr<const Model>& model, const std::vector<Token>& tokens,
                const std::vector<float>& expected, KvType kv_type) {
  Session session(model, {.kv_type = kv_type, .threads = 2});
  const std::vector<float> logits = test::all_logits(session, tokens);
  EXPECT_EQ(logits.size(), expected.size());
  return logits.size() == expected.size() ? test::relative_rms(logits, expected) : 1.0;
}

struct GoldenModel {
  const char* name;  // of its files
  test::TinyModelOptions options;
};

const GoldenModel kModels[] = {
    {"bitnet", {.architecture = "bitnet"}},
    {"bitnet-b1.58", {.architecture = "bitnet-b1.58"}},
    {"gemma3", {.architecture = "gemma3", .window = 7}},  // shorter than the prompt
    {"gemma3-input-norms", {.architecture = "gemma3", .input_norms = true}},
    {"llama", {.architecture = "llama"}},
    {"minicpm", {.architecture = "minicpm"}},
    {"qwen3", {.architecture = "qwen3"}},
    {"qwen3-input-norms", {.architecture = "qwen3", .input_norms = true}},
};

class Golden : public testing::TestWithParam<GoldenModel> {
 protected:
  [[nodiscard]] static std::vector<float> golden(const std::string& activations) {
    return read_floats(std::string(TERN_TEST_DATA) + "/tiny-" + GetParam().name + "." + activations + ".f32");
  }
  /// The model with linear layers of a type.
  [[nodiscard]] static test::ModelFile model(const char* type) {
    test::TinyModelOptions options = GetParam().options;
    options.type = type;
    return test::ModelFile(options);
  }
};

TEST_P(Golden, TernaryTypesAgreeWithDoublePrecision) {
  const std::vector<float> expected = golden("int8");
  for (const char* type :
       {"TQ2_0", "TQ1_0", "I2_S", "Q2_0", "Q2_0_128", "PQ2_0", "PTQ1_0", "IQ1_BN", "IQ2_BN", "IQ2_BN_R4"}) {
    const test::ModelFile file = model(type);
    EXPECT_LT(error_of(file.open("auto", HeadType::kFile), kTokens, expected, KvType::kF32), kF32Bound) << type;
    EXPECT_LT(error_of(file.open("auto", HeadType::kFile), kTokens, expected, KvType::kF16), kF16Bound) << type;
  }
}

TEST_P(Golden, FloatLayersAgreeWithDoublePrecision) {
  const test::ModelFile file = model("F16");
  EXPECT_LT(error_of(file.open("auto", HeadType::kFile), kTokens, golden("none"), KvType::kF32), kF32Bound);
}

std::string plain_name(const testing::TestParamInfo<GoldenModel>& info) {
  std::string name = info.param.name;
  std::erase_if(name, [](char c) { return c == '-' || c == '.'; });
  return name;
}

INSTANTIATE_TEST_SUITE_P(Engine, Golden, testing::ValuesIn(kModels), plain_name);

/// A directory with more models, named by TERN_SHARED: golden/tiny-NAME.TYPE.gguf, tiny-NAME.{int8,none}.f32,
/// tokens.txt
struct SharedModel {
  const char* name;
  double f32_bound = kF32Bound;
};

/// One activation of tiny-llama, 13.5 + 1.2e-7 steps, lies nearer to a tie than floats can tell (1e-8 of it): it may
/// round either way, and moves the logits by 1e-2.
constexpr SharedModel kSharedModels[] = {{"bitnet"}, {"b158"}, {"llama", 0.015}, {"qwen3"}};

class SharedGolden : public testing::TestWithParam<SharedModel> {};

TEST_P(SharedGolden, AgreesWithDoublePrecision) {
  const char* shared = std::getenv("TERN_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "TERN_SHARED names no directory";
  const std::filesystem::path golden = std::filesystem::path(shared) / "golden";
  std::vector<Token> tokens;
  std::ifstream in(golden / "tokens.txt");
  for (std::string token; std::getline(in, token, ',');) tokens.push_back(std::stoi(token));
  const std::string name = std::string("tiny-") + GetParam().name;
  const std::vector<float> expected = read_floats(golden / (name + ".int8.f32"));
  for (const char* type : {"TQ2_0", "TQ1_0", "I2_S"}) {
    const auto model = Model::open(golden / (name + "." + type + ".gguf"), {.head = HeadType::kFile});
    EXPECT_LT(error_of(model, tokens, expected, KvType::kF32), GetParam().f32_bound) << type;
    EXPECT_LT(error_of(model, tokens, expected, KvType::kF16), kF16Bound) << type;
  }
  const auto model = Model::open(golden / (name + ".F16.gguf"), {.head = HeadType::kFile});
  EXPECT_LT(error_of(model, tokens, read_floats(golden / (name + ".none.f32")), KvType::kF32), kF32Bound);
}

INSTANTIATE_TEST_SUITE_P(Engine, SharedGolden, testing::ValuesIn(kSharedModels),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tern
