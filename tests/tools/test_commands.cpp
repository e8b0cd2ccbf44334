#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/tools/fixture.h"

// tern tokenize, logits, perplexity and inspect over a tiny model.
namespace tern::test {
namespace {

using Commands = CommandTest;

TEST_F(Commands, TokenizePrintsIdsAndPieces) {
  const Outcome outcome = run_tern(with_model("tokenize", {"Once upon"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("\"Once\""), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("\" upon\""), std::string::npos) << outcome.out;
}

TEST_F(Commands, TokenizeIdsAreNumbersOnOneLine) {
  // Bytes come after three special tokens: "a" is 3 + 0x61 = 100.
  EXPECT_EQ(run_tern(with_model("tokenize", {"--ids", "a"})).out, "100\n");
  EXPECT_EQ(run_tern(with_model("tokenize", {"--ids", "--add-bos", "a"})).out, "0 100\n");
  EXPECT_EQ(run_tern(with_model("tokenize", {"--ids", "--special", "<s>a"})).out, "0 100\n");
  EXPECT_NE(run_tern(with_model("tokenize", {"--ids", "<s>a"})).out, "0 100\n");
}

TEST_F(Commands, TokenizeAnswersLines) {
  const Outcome outcome =
      run_tern({.arguments = with_model("tokenize", {"--jsonl"}),
                .input = "{\"text\":\"a\"}\n{\"text\":\"<s>\",\"special\":true}\n{\"text\":\"\"}\n"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "{\"ids\":[100]}\n{\"ids\":[0]}\n{\"ids\":[]}\n");
}

TEST_F(Commands, EscapesAreInterpretedOnlyWhenAsked) {
  // "\n" is one byte, 10, or a backslash and an n; an unknown or cut escape stays as it is.
  EXPECT_EQ(run_tern(with_model("tokenize", {"--ids", "-e", "\\n\\x61\\\\"})).out, "13 100 95\n");
  EXPECT_EQ(run_tern(with_model("tokenize", {"--ids", "\\n"})).out, "95 113\n");
  EXPECT_EQ(run_tern(with_model("tokenize", {"--ids", "-e", "\\q\\x6"})).out, "95 116 95 123 57\n");
  const Outcome lines =
      run_tern({.arguments = with_model("tokenize", {"--jsonl", "-e"}), .input = "{\"text\":\"\\\\n\\n\"}\n"});
  EXPECT_EQ(lines.out, "{\"ids\":[13,13]}\n") << lines.err;
}

TEST_F(Commands, TokenizeAnswersALastLineWithoutNewline) {
  const Outcome outcome = run_tern({.arguments = with_model("tokenize", {"--jsonl"}), .input = "\n{\"text\":\"a\"}"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "{\"ids\":[100]}\n");
}

TEST_F(Commands, TokenizeNamesABadLine) {
  for (const char* line : {"nonsense", "[1]", "{\"special\":true}", "{\"text\":5}", "{\"text\":\"a\",\"special\":1}"}) {
    const Outcome outcome = run_tern(
        {.arguments = with_model("tokenize", {"--jsonl"}), .input = std::string("{\"text\":\"a\"}\n") + line + "\n"});
    EXPECT_EQ(outcome.status, 2) << line;
    EXPECT_NE(outcome.err.find("line 2"), std::string::npos) << outcome.err;
  }
}

TEST_F(Commands, LogitsAreTheSameBytesWhateverTheWay) {
  const std::vector<std::string> tokens = {"--tokens", "0,271,275,262,278,100", "-o", "-", "-q"};
  const auto bytes_with = [&](std::vector<std::string> more) {
    more.insert(more.end(), tokens.begin(), tokens.end());
    const Outcome outcome = run_tern(with_model("logits", more));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.out;
  };
  const std::string bytes = bytes_with({"-t", "1"});
  EXPECT_EQ(bytes.size() % (6 * sizeof(float)), 0u);
  EXPECT_GT(bytes.size(), 6 * sizeof(float) * 256);
  EXPECT_EQ(bytes_with({"-t", "2"}), bytes);
  EXPECT_EQ(bytes_with({"--batch", "1"}), bytes);
  EXPECT_EQ(bytes_with({"--batch", "4"}), bytes);
  EXPECT_EQ(bytes_with({"--kernel", "reference"}), bytes);
  EXPECT_NE(bytes_with({"--kv", "f32"}), bytes);  // other numbers go into attention
}

TEST_F(Commands, LogitsNeedAKnownInstructionSet) {
  const std::vector<std::string> arguments = with_model("logits", {"--tokens", "0,271,275", "-o", "-", "-q"});
  expect_error(run_tern({.arguments = arguments, .environment = {{"TERN_ISA", "abacus"}}}), 2, "abacus");
}

TEST_F(Commands, LogitsLeaveNoHalfWrittenFile) {
  const std::string path = temporary_path("logits.f32");
  const Outcome refused = run_tern(with_model("logits", {"--tokens", "0,99999", "-o", path}));
  expect_error(refused, 2, "99999");
  EXPECT_FALSE(std::filesystem::exists(path));
  expect_error(run_tern(with_model("logits", {"--tokens", "0,,1", "-o", path})), 2, "--tokens");

  const Outcome outcome = run_tern(with_model("logits", {"--tokens", "0,1", "-o", path}));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  std::ifstream file(path, std::ios::binary);
  const std::string written((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(written, run_tern(with_model("logits", {"--tokens", "0,1", "-o", "-"})).out);
  // The model and the logits: nothing temporary is left.
  const auto directory = std::filesystem::directory_iterator(std::filesystem::path(path).parent_path());
  EXPECT_EQ(std::distance(begin(directory), end(directory)), 2);
}

TEST_F(Commands, LogitsSayWhenTheyCanNotBeWritten) {
  expect_error(run_tern(with_model("logits", {"--tokens", "0", "-o", "/no/such/directory/x"})), 4, "/no/such");
  expect_error(run_tern(with_model("logits", {"--tokens", "0", "-o", "/tmp"})), 4, "directory");
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  expect_error(run_tern(with_model("logits", {"--tokens", "0", "-o", "/dev/full"})), 4, "/dev/full");
}

TEST_F(Commands, PerplexityOfRandomWeightsIsAboutTheVocabulary) {
  const Outcome outcome = run_tern({.arguments = with_model("perplexity", {"-f", "-", "--json", "-c", "16", "-q"}),
                                    .input = "Once upon a time there was a little day."});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto object = nlohmann::json::parse(outcome.out);
  EXPECT_GT(object["perplexity"], 50.0);
  EXPECT_EQ(object["bytes"], 40);  // BOS lets every token be predicted
  EXPECT_NEAR(object["perplexity"].get<double>(), std::exp(object["nats_per_token"].get<double>()), 1e-6);
}

TEST_F(Commands, PerplexityNeedsAText) {
  expect_error(run_tern(with_model("perplexity", {"-f", "/no/such/file", "-q"})), 4, "/no/such/file");
  expect_error(run_tern({.arguments = with_model("perplexity", {"-f", "-", "-q"}), .input = ""}), 2, "too short");
  expect_error(run_tern({.arguments = with_model("perplexity", {"-f", "-", "-q", "-c", "1"}), .input = "abc"}), 2,
               "context");
}

TEST_F(Commands, InspectDescribes) {
  const Outcome outcome = run_tern({"inspect", model_});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  for (const char* word :
       {"llama", "2 layers", "TQ2_0", "2.062 bits each", "KV cache", "reference", "byte-level BPE"}) {
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word << " in\n" << outcome.out;
  }
  EXPECT_EQ(outcome.out.find("blk.0.attn_q"), std::string::npos);
  EXPECT_NE(run_tern({"inspect", "--tensors", model_}).out.find("blk.0.attn_q"), std::string::npos);
  EXPECT_NE(run_tern({"inspect", "--metadata", model_}).out.find("llama.block_count (unsigned) = 2"),
            std::string::npos);
}

TEST_F(Commands, InspectJsonHoldsTheSameFacts) {
  const Outcome outcome = run_tern({"inspect", "--json", "--tensors", model_, "-c", "100", "--kv", "f32"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto object = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(object["layers"], 2);
  EXPECT_EQ(object["tensors"]["types"]["TQ2_0"]["tensors"], 14);
  EXPECT_EQ(object["tensors"]["list"].size(), 14u + 5u + 1u);
  // 2 layers of keys and values, 2 heads of 64 numbers of 4 bytes, for 100 tokens.
  EXPECT_EQ(object["memory"]["kv_cache_bytes"], 2 * 2 * 2 * 64 * 4 * 100);
}

}  // namespace
}  // namespace tern::test
