#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/tools/fixture.h"

// The bundled model, found without -m, against the PyTorch forward pass that it was trained with.
namespace tern::test {
namespace {

nlohmann::json run_bundled(const std::string& prompt, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"run", "--json", "-q", "--temp", "0", "-p", prompt};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Outcome outcome = run_tern(arguments);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return nlohmann::json::parse(outcome.out, nullptr, /*allow_exceptions=*/false);
}

TEST(BundledModel, GivesTheGreedyTextOfItsTrainer) {
  std::ifstream reference(std::string(TERN_TEST_MODELS) + "/tern-stories.greedy.jsonl");
  std::size_t n_prompts = 0;
  for (std::string line; std::getline(reference, line); ++n_prompts) {
    const auto expected = nlohmann::json::parse(line);
    // PyTorch keeps keys and values in f32, and does not round the head.
    const auto found = run_bundled(expected["prompt"], {"--kv", "f32", "--head", "f16", "--ignore-eos", "-n", "100"});
    EXPECT_EQ(found["tokens"], expected["ids"]) << expected["prompt"];
    EXPECT_EQ(found["text"], expected["text"]);
  }
  EXPECT_EQ(n_prompts, 5u);
}

TEST(BundledModel, TellsAStoryThatEnds) {
  const auto found = run_bundled("Once upon a time", {"-n", "500"});
  EXPECT_EQ(found["finish_reason"], "stop_token");
  EXPECT_NE(found["text"].get<std::string>().find(" the "), std::string::npos);
}

}  // namespace
}  // namespace tern::test
