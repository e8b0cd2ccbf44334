#include "tests/tools/fixture.h"

// What a user meets before any model is read.
namespace tern::test {
namespace {

TEST(Usage, HelpNamesEveryCommandAndStatus) {
  const Outcome outcome = run_tern({"--help"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  for (const char* word : {"run", "chat", "bench", "embed", "inspect", "tokenize", "logits", "perplexity", "convert",
                           "Exit status", "130", "TERN_MODEL"}) {
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word;
  }
}

TEST(Usage, EveryCommandHasHelpWithExamples) {
  for (const char* command :
       {"run", "chat", "bench", "embed", "inspect", "tokenize", "logits", "perplexity", "convert"}) {
    const Outcome outcome = run_tern({command, "--help"});
    EXPECT_EQ(outcome.status, 0) << command;
    EXPECT_NE(outcome.out.find(std::string("Examples:\n  tern ") + command), std::string::npos) << outcome.out;
  }
}

TEST(Usage, Version) {
  const Outcome outcome = run_tern({"--version"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, std::string("tern ") + TERN_PROJECT_VERSION + "\n");
}

TEST(Usage, MistakesAreStatus2) {
  expect_error(run_tern(std::vector<std::string>{}), 2, "which command?");
  expect_error(run_tern({"walk"}), 2, "walk");
  expect_error(run_tern({"run", "--no-such-option"}), 2, "--no-such-option");
  expect_error(run_tern({"run", "-n", "0", "hi"}), 2,
               "--max-tokens: expected a whole number from 1 to 2147483648, found 0");
  expect_error(run_tern({"run", "-n", "-1", "hi"}), 2, "-1");
  expect_error(run_tern({"run", "-n", "many", "hi"}), 2, "many");
  expect_error(run_tern({"run", "--kv", "f8", "hi"}), 2, "f8");
  expect_error(run_tern({"run", "--i2s-layout", "32", "hi"}), 2, "32");
  expect_error(run_tern({"run", "--head", "int4", "hi"}), 2, "int4");
  expect_error(run_tern({"run", "-t", "99999", "hi"}), 2, "99999");
  expect_error(run_tern({"run", "-f", "a.txt", "hi"}), 2, "excludes");
  expect_error(run_tern({"run", "--echo", "--json", "hi"}), 2, "excludes");
  expect_error(run_tern({"run", "--logit-bias", "word", "hi"}), 2, "word");
  expect_error(run_tern({"logits", "-o", "x"}), 2, "--tokens");
}

TEST(Usage, NumbersAreWhatTheySay) {
  const auto refused = [](const std::string& option, const std::string& value, const std::string& expected) {
    expect_error(run_tern({"run", option, value, "hi"}), 2, option + ": expected " + expected + ", found " + value);
  };
  refused("--seed", "-1", "a whole number from 0 to 18446744073709551615");
  refused("--seed", "18446744073709551616", "a whole number from 0 to 18446744073709551615");
  refused("--top-k", "-1", "a whole number from 0 to 18446744073709551615");
  refused("--penalty-window", "1e3", "a whole number from 0 to 18446744073709551615");
  refused("--cache-size", "-1", "a number from 0 to 1048576");
  refused("--cache-size", "nan", "a number from 0 to 1048576");
  refused("--temp", "warm", "a number");
  expect_error(run_tern({"perplexity", "-f", "x", "--max-tokens", "-1"}), 2, "--max-tokens: expected a whole number");
  expect_error(run_tern({"bench", "-t", "1,-1"}), 2, "--threads: expected a whole number from 0 to 1024, found -1");
}

TEST(Usage, HelpCallsNumbersByTheirNamesAlone) {
  for (const char* command : {"run", "chat", "batch", "bench", "embed", "inspect", "logits", "perplexity", "convert"}) {
    const std::string help = run_tern({command, "--help"}).out;
    for (const char* noise : {"UINT", "FLOAT", "NONNEGATIVE", " in ["}) {
      EXPECT_EQ(help.find(noise), std::string::npos) << command << ": " << noise;
    }
  }
}

}  // namespace
}  // namespace tern::test
