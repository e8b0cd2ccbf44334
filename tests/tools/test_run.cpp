#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/tools/fixture.h"

// tern run over a tiny model of random weights: what it says makes no sense, but has to be the same every time.
namespace tern::test {
namespace {

using RunCommand = CommandTest;

TEST_F(RunCommand, PrintsTheTextAloneOnStandardOutput) {
  const Outcome outcome = run_tern(with_model("run", {"-n", "8", "Once"}));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_FALSE(outcome.out.empty());
  EXPECT_NE(outcome.err.find("tok/s"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("GB/s"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("logits "), std::string::npos) << outcome.err;
}

TEST_F(RunCommand, QuietSaysNothingElse) {
  const Outcome outcome = run_tern(with_model("run", {"-n", "8", "-q", "Once"}));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(RunCommand, TheSameSeedGivesTheSameTextOnAnyThreadsKernelAndBatch) {
  const std::string text = text_of({"-n", "40", "--seed", "5", "-t", "1", "Once upon a time"});
  EXPECT_EQ(text_of({"-n", "40", "--seed", "5", "-t", "2", "Once upon a time"}), text);
  EXPECT_EQ(text_of({"-n", "40", "--seed", "5", "--batch", "1", "Once upon a time"}), text);
  EXPECT_EQ(text_of({"-n", "40", "--seed", "5", "--kernel", "reference", "Once upon a time"}), text);
  EXPECT_NE(text_of({"-n", "40", "--seed", "6", "Once upon a time"}), text);
}

TEST_F(RunCommand, EveryKernelOfThisMachineGivesTheSameText) {
  const Outcome inspected = run_tern(with_model("inspect", {"--json"}));
  ASSERT_EQ(inspected.status, 0) << inspected.err;
  const std::string text = text_of({"-n", "24", "Once"});
  std::size_t n_run = 0;
  const auto object = nlohmann::json::parse(inspected.out);
  for (const auto& kernel : object["kernels"]["available"]) {
    if (kernel["missing"] != "") continue;
    EXPECT_EQ(text_of({"-n", "24", "--kernel", kernel["name"], "Once"}), text) << kernel;
    ++n_run;
  }
  EXPECT_GE(n_run, 1u);
}

TEST_F(RunCommand, TakesThePromptFromArgumentFileOrStandardInput) {
  const std::string text = text_of({"-n", "12", "Once upon"});
  EXPECT_EQ(text_of({"-n", "12", "-p", "Once upon"}), text);
  const std::string file = temporary_path("prompt.txt");
  const std::string content = "Once upon\n";
  write_file(file, std::vector<std::byte>(reinterpret_cast<const std::byte*>(content.data()),
                                          reinterpret_cast<const std::byte*>(content.data() + content.size())));
  EXPECT_EQ(text_of({"-n", "12", "-f", file}), text);
  EXPECT_EQ(run_tern({.arguments = with_model("run", {"-n", "12"}), .input = "Once upon\n"}).out, text);
  EXPECT_EQ(run_tern({.arguments = with_model("run", {"-n", "12", "-f", "-"}), .input = "Once upon"}).out, text);
}

TEST_F(RunCommand, FindsTheModelInTheEnvironment) {
  const Outcome outcome = run_tern({.arguments = {"run", "-n", "4", "Once"}, .environment = {{"TERN_MODEL", model_}}});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, text_of({"-n", "4", "Once"}));
}

TEST_F(RunCommand, EchoPutsThePromptFirst) {
  EXPECT_EQ(text_of({"-n", "8", "--echo", "Once upon"}), "Once upon" + text_of({"-n", "8", "Once upon"}));
}

TEST_F(RunCommand, StopEndsBeforeTheText) {
  const std::string text = text_of({"-n", "40", "--seed", "3", "Once"});
  ASSERT_GT(text.size(), 12u);
  const std::string stop = text.substr(text.size() / 2, 3);
  const std::string expected = text.substr(0, text.find(stop));
  EXPECT_EQ(text_of({"-n", "40", "--seed", "3", "--stop", "never this", "--stop", stop, "Once"}), expected);
}

TEST_F(RunCommand, JsonIsOneObject) {
  const Outcome outcome = run_tern(with_model("run", {"-n", "6", "--json", "Once"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto object = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(object["prompt"], "Once");
  EXPECT_EQ(object["tokens"].size(), 6u);
  EXPECT_EQ(object["finish_reason"], "length");
  EXPECT_EQ(object["timings"]["decode_tokens"], 5);  // the last token is not fed back
  EXPECT_EQ(object["logits_hash"].get<std::string>().size(), 16u);
  EXPECT_TRUE(object["kernels"].contains("decode"));
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1);
}

TEST_F(RunCommand, EndsWhenTheContextIsFull) {
  const Outcome outcome = run_tern(with_model("run", {"-n", "100", "-c", "16", "--json", "--ignore-eos", "Once"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto object = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(object["finish_reason"], "context");
  EXPECT_EQ(object["tokens"].size(), 15u);  // BOS and one token of prompt leave 14 places; the last token needs none
}

TEST_F(RunCommand, RefusesAPromptThatDoesNotFit) {
  expect_error(run_tern(with_model("run", {"-c", "4", "-q", "abcdefgh"})), 2, "context");
}

TEST_F(RunCommand, NamesASamplingOptionOutOfRange) {
  expect_error(run_tern(with_model("run", {"--temp", "-1", "-q", "a"})), 2, "temperature");
  expect_error(run_tern(with_model("run", {"--top-p", "1.5", "-q", "a"})), 2, "top_p");
  expect_error(run_tern(with_model("run", {"--logit-bias", "99999=1", "-q", "a"})), 2, "99999");
  expect_error(run_tern(with_model("run", {"--kernel", "abacus", "-q", "a"})), 2, "abacus");
}

TEST_F(RunCommand, BiasForbidsAToken) {
  const Outcome first = run_tern(with_model("run", {"-n", "1", "--temp", "0", "--json", "Once"}));
  const int token = nlohmann::json::parse(first.out)["tokens"][0];
  const std::string bias = std::to_string(token) + "=-inf";
  const Outcome second =
      run_tern(with_model("run", {"-n", "1", "--temp", "0", "--json", "--logit-bias", bias, "Once"}));
  EXPECT_NE(nlohmann::json::parse(second.out)["tokens"][0], token);
}

// Long enough that it would take minutes if it were not stopped.
const std::vector<std::string> kLong = {"-n", "1000000", "-c", "1000000", "--ignore-eos", "-q", "Once"};

TEST_F(RunCommand, CtrlCEndsItInOrder) {
  const Outcome outcome = run_tern({.arguments = with_model("run", kLong), .signal_after_output = SIGINT});
  EXPECT_EQ(outcome.status, 130);
  EXPECT_FALSE(outcome.out.empty());
  EXPECT_EQ(outcome.err, "");
}

TEST_F(RunCommand, EndsWhenItsReaderGoesAway) {
  const Outcome outcome = run_tern({.arguments = with_model("run", kLong), .close_output_early = true});
  EXPECT_EQ(outcome.status, 141);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(RunCommand, SaysThatTheDiskIsFull) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  const Outcome outcome = run_tern({.arguments = with_model("run", {"-n", "4", "a"}), .output_path = "/dev/full"});
  expect_error(outcome, 4, "standard output");
}

}  // namespace
}  // namespace tern::test
