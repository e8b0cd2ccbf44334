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
  expect_error(run_tern({"run", "-n", "0", "hi"}), 2, "not in range");
  expect_error(run_tern({"run", "-n", "-1", "hi"}), 2, "-1");
  expect_error(run_tern({"run", "-n", "many", "hi"}), 2, "many");
  expect_error(run_tern({"run", "--kv", "f8", "hi"}), 2, "f8");
  expect_error(run_tern({"run", "--i2s-layout", "32", "hi"}), 2, "32");
  expect_error(run_tern({"run", "--head", "int4", "hi"}), 2, "int4");
  expect_error(run_tern({"run", "-t", "99999", "hi"}), 2, "99999");
  expect_error(run_tern({"run", "-f", "a.txt", "hi"}), 2, "excludes");
  expect_error(run_tern({"run", "--logit-bias", "word", "hi"}), 2, "word");
  expect_error(run_tern({"logits", "-o", "x"}), 2, "--tokens");
}

}  // namespace
}  // namespace tern::test
