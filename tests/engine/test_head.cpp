#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "tests/engine/model_file.h"

/// The output head with int8 weights, which is the default, and as it is in the file.
namespace tern {
namespace {

using test::ModelFile;

const std::vector<Token> kTokens = {1, 17, 250, 33, 99, 200, 201, 202, 64, 128};

std::vector<float> logits_with(const ModelFile& file, HeadType head) {
  Session session(file.open("auto", head), {.threads = 2});
  return test::all_logits(session, kTokens);
}

class HeadOf : public testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] static bool tied() { return GetParam(); }
};

TEST_P(HeadOf, TheModelIsNearTheFilesOwnInInt8) {
  const ModelFile file(test::TinyModelOptions{.tied_embeddings = tied(), .vocab_rows = 400});
  const std::vector<float> int8 = logits_with(file, HeadType::kInt8);
  const std::vector<float> exact = logits_with(file, HeadType::kFile);
  EXPECT_NE(int8, exact);
  // The weights are uniform, up to 127 steps: their mean square is 127^2 / 3, that of the rounding 1 / 12 of a step.
  EXPECT_LT(test::relative_rms(int8, exact), 1.2 / 254.0);
}

TEST_P(HeadOf, TheModelIsDescribed) {
  const ModelFile file(test::TinyModelOptions{.tied_embeddings = tied(), .vocab_rows = 400});
  const ModelSummary int8 = file.open()->summary();
  const ModelSummary as_file = file.open("auto", HeadType::kFile)->summary();
  EXPECT_EQ(int8.head_type, "int8");
  EXPECT_EQ(int8.head_bytes, 400u * (256 + 4));
  EXPECT_EQ(int8.embedding_bytes, 400u * 256 * 2);
  EXPECT_EQ(as_file.head_type, "F16");
  EXPECT_EQ(as_file.head_bytes, 400u * 256 * 2);
  EXPECT_EQ(as_file.embedding_bytes, tied() ? 0u : 400u * 256 * 2);
  EXPECT_EQ(as_file.bytes_read_per_token - int8.bytes_read_per_token, 400u * (256 * 2 - 256 - 4));
  EXPECT_EQ(int8.bytes_read_per_token, int8.ternary_bytes + int8.float_bytes + int8.head_bytes);

  const ModelSummary inspected = inspect(file.path());
  EXPECT_EQ(inspected.head_type, int8.head_type);
  EXPECT_EQ(inspected.head_bytes, int8.head_bytes);
  EXPECT_EQ(inspected.head_kernel, int8.head_kernel);
}

TEST_P(HeadOf, TheModelMustBeFiniteToBecomeInt8) {
  test::GgufBuilder model = test::make_tiny_model({.tied_embeddings = tied()});
  const std::string name = tied() ? "token_embd.weight" : "output.weight";
  const std::uint16_t infinity = 0x7c00;
  std::memcpy(test::find_tensor(model, name).data.data() + (300 * 256 + 7) * sizeof infinity, &infinity,
              sizeof infinity);
  const ModelFile file(model.build());
  try {
    static_cast<void>(file.open());
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadFile);
    EXPECT_NE(std::string(error.what()).find(name + ": row 300: expected finite values"), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(file.open("auto", HeadType::kFile)->summary().head_type, "F16");
}

INSTANTIATE_TEST_SUITE_P(Engine, HeadOf, testing::Bool(),
                         [](const auto& test) { return std::string(test.param ? "tied" : "own"); });

}  // namespace
}  // namespace tern
