#include <nlohmann/json.hpp>

#include <fstream>

#include "tests/tools/fixture.h"

// What a user of tern convert sees.
namespace tern::test {
namespace {

using nlohmann::json;

class ConvertCommand : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    output_ = temporary_path("out.gguf");
  }
  [[nodiscard]] Outcome convert(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"convert", model_, "-o", output_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_tern(arguments);
  }
  /// Whether the model is alone in its directory.
  [[nodiscard]] bool left_nothing() const {
    const std::filesystem::path directory = std::filesystem::path(model_).parent_path();
    return std::distance(std::filesystem::directory_iterator(directory), {}) == 1;
  }

  std::string output_;
};

TEST_F(ConvertCommand, SaysInOneLineWhatItWrote) {
  const Outcome outcome = convert({"--type", "tq1_0"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_TRUE(outcome.out.starts_with(output_ + ": ")) << outcome.out;
  EXPECT_NE(outcome.out.find("tensors: 1 F16, 5 F32, 14 TQ1_0; scales exact\n"), std::string::npos) << outcome.out;
  EXPECT_EQ(run_tern({"run", "-m", output_, "-n", "4", "a"}).status, 0);
  EXPECT_EQ(convert({"--type", "TQ1_0", "--force", "-q"}).out, "");
}

TEST_F(ConvertCommand, VerifiesThatThePredictionsAreTheSame) {
  const Outcome outcome = convert({"--type", "i2_s", "--verify", "--verify-max-kl", "0", "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_EQ(result["converted_tensors"], 14);
  EXPECT_EQ(result["verification"]["mean_kl_nats"], 0.0);
  EXPECT_EQ(result["verification"]["largest_logit_difference"], 0.0);
  EXPECT_EQ(result["verification"]["equal_best_share"], 1.0);
  EXPECT_EQ(result["verification"]["tokens"], 128);  // the model's context
}

TEST_F(ConvertCommand, StatusTellsOfPredictionsThatDifferTooMuch) {
  const std::string text = temporary_path("text");
  std::ofstream(text) << "Once upon a time";
  const std::vector<std::string> options = {"--embedding",   "q4_0", "--verify",
                                            "--verify-text", text,   "--verify-max-kl"};
  std::vector<std::string> strict = options, lax = options;
  strict.insert(strict.end(), {"1e-9", "-q"});
  lax.insert(lax.end(), {"1", "--force"});
  expect_error(convert(strict), 6, "differs too much from " + model_);
  const Outcome outcome = convert(lax);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("\nverified: KL "), std::string::npos) << outcome.out;
}

TEST_F(ConvertCommand, RefusesWhatItCanNotDo) {
  expect_error(convert({"--type", "q2_0"}), 2, "q2_0");
  expect_error(convert({"--embedding", "tq2_0"}), 2, "tq2_0");
  expect_error(convert({"--head", "q6_k"}), 2, "no head of its own");
  expect_error(convert({"--type", "kernel-ready", "--layout", "odd"}), 2, "layout: expected one of ");
  expect_error(convert({"--verify-max-kl", "1"}), 2, "--verify");
  expect_error(convert({"--verify", "--verify-text", model_ + ".txt"}), 4, ".txt");
  expect_error(convert({"--verify", "--verify-text", "/dev/null"}), 2, "/dev/null: is empty");
  expect_error(run_tern({"convert", model_, "-o", model_, "--force"}), 2, "is the source itself");
  expect_error(run_tern({"convert", model_}), 2, "--output");
  expect_error(run_tern({"convert", model_, "-o", "-"}), 2, "--output: expected the name of a file, found -");
  expect_error(run_tern({"convert", model_, "-o", ""}), 2, "--output: expected the name of a file, found nothing");
  expect_error(run_tern({"convert", model_ + "x", "-o", output_}), 4, "cannot open");
  EXPECT_TRUE(left_nothing());
  std::ofstream(output_) << "mine";
  expect_error(convert({}), 2, "is there already (--force replaces it)");
}

TEST_F(ConvertCommand, SaysThatTheFileGetsTooLong) {
  const std::string limited = "ulimit -f 8; exec \"$0\" \"$@\"";  // 4 or 8 KiB
  expect_error(
      run_tern(Launch{.arguments = {"-c", limited, tern_command(), "convert", model_, "-o", output_}, .program = "sh"}),
      4, "out.gguf: cannot be written: File too large");
  EXPECT_TRUE(left_nothing());
}

}  // namespace
}  // namespace tern::test
