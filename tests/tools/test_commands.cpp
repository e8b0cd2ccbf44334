#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

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
    EXPECT_NE(outcome.err.find("standard input: line 2"), std::string::npos) << outcome.err;
  }
  const std::string file = temporary_path("lines");
  std::ofstream(file) << "nonsense\n";
  expect_error(run_tern(with_model("tokenize", {"--jsonl", "-f", file})), 2, file + ": line 1: expected");
  expect_error(run_tern(with_model("tokenize", {"--pre", "odd", "a"})), 2, "found 'odd'");
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

/// Runs a command, sends it a signal once it has begun a file, and waits for it.
Outcome stop_while_writing(const std::string& signal, std::vector<std::string> arguments, const std::string& folder) {
  const std::string script = R"(cd "$1"; mkfifo lines; exec 3<>lines; shift
"$0" "$@" & child=$!
until ls *.part >/dev/null 2>&1; do kill -0 $child || exit 99; sleep 0.005; done
sleep 0.02; kill -)" + signal +
                             R"( $child; wait $child)";
  arguments.insert(arguments.begin(), {"-c", script, tern_command(), folder});
  return run_tern(Launch{.arguments = arguments, .program = "sh"});
}

TEST_F(Commands, LeaveNothingWhenTheyAreStopped) {
  const std::filesystem::path folder = std::filesystem::path(model_).parent_path();
  std::string tokens = "0";
  for (int i = 0; i < 20'000; ++i) tokens += ",9";
  const Outcome logits = stop_while_writing(
      "TERM", with_model("logits", {"-q", "-c", "30000", "--tokens", tokens, "-o", "out", "-t", "1"}), folder);
  EXPECT_EQ(logits.status, 143) << logits.err;
  std::filesystem::remove(folder / "lines");
  // It waits for a line that does not come.
  const Outcome embed = stop_while_writing("HUP", with_model("embed", {"-q", "-i", "lines", "-o", "out"}), folder);
  EXPECT_EQ(embed.status, 129) << embed.err;
  std::filesystem::remove(folder / "lines");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1) << "but for the model";
}

TEST_F(Commands, WriteOverNothingThatTheyRead) {
  const std::string text = temporary_path("in.txt");
  const std::string link = temporary_path("link.gguf");
  std::ofstream(text) << "words\n";
  std::filesystem::create_symlink(model_, link);
  const std::uintmax_t size = std::filesystem::file_size(model_);
  const std::string words = "is the source itself: name another file";
  for (const std::string& output : {model_, link}) {
    expect_error(run_tern(with_model("logits", {"--tokens", "0", "-o", output})), 2, words);
    expect_error(run_tern(with_model("embed", {"a", "-o", output})), 2, words);
    expect_error(run_tern(with_model("bench", {"--html", output})), 2, words);
    expect_error(run_tern(with_model("batch", {"-i", text, "-o", output, "--force"})), 2, words);
  }
  expect_error(run_tern(with_model("embed", {"-i", text, "-o", text})), 2, words);
  expect_error(run_tern(with_model("batch", {"-i", text, "-o", text, "--force"})), 2, words);
  const std::string run = temporary_path("out.jsonl.run");
  std::filesystem::copy(text, run);
  expect_error(run_tern(with_model("batch", {"-i", run, "-o", temporary_path("out.jsonl")})), 2, words);
  expect_error(run_tern(with_model("logits", {"--tokens", "0", "-o", ""})), 2, "expected the name of a file");
  EXPECT_EQ(std::filesystem::file_size(model_), size);
  EXPECT_EQ(std::filesystem::file_size(text), 6u);
}

TEST_F(Commands, WriteOverNoPartOfAModel) {
  const std::string words = "is the source itself";
  const std::string first = temporary_path("m-00001-of-00002.gguf");
  const std::string second = temporary_path("m-00002-of-00002.gguf");
  const std::string weights = temporary_path("model.safetensors");
  for (const std::string& path : {first, second, weights}) std::ofstream(path) << "x";
  const std::string directory = std::filesystem::path(weights).parent_path();
  expect_error(run_tern({"logits", "-m", first, "--tokens", "0", "-o", second}), 2, words);
  expect_error(run_tern({"logits", "-m", directory, "--tokens", "0", "-o", weights}), 2, words);
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

// Rows that fill up the embedding stand for no token: they have no share of the probability.
TEST_F(Commands, PerplexityIsThatOfTheTokensAlone) {
  write_file(model_, make_tiny_model({.architecture = "llama", .vocab_rows = 700}).build());
  const std::string text = "Once upon a time there was a little day.";
  const std::string ids = run_tern(with_model("tokenize", {"--ids", "--add-bos", text})).out;
  std::vector<std::size_t> tokens;
  std::istringstream words(ids);
  for (std::size_t token = 0; words >> token;) tokens.push_back(token);
  const std::string inspected = run_tern({"inspect", "--json", model_}).out;
  const std::size_t n_tokens = nlohmann::json::parse(inspected)["tokenizer"]["tokens"];
  ASSERT_LT(n_tokens, 700u);

  std::string list;
  for (const std::size_t token : tokens) list += (list.empty() ? "" : ",") + std::to_string(token);
  const std::string bytes = run_tern(with_model("logits", {"--tokens", list, "-o", "-", "-q"})).out;
  std::vector<float> logits(bytes.size() / sizeof(float));
  ASSERT_EQ(logits.size(), tokens.size() * 700);
  std::memcpy(logits.data(), bytes.data(), bytes.size());
  double nats = 0.0;
  for (std::size_t t = 0; t + 1 < tokens.size(); ++t) {
    double sum = 0.0;
    for (std::size_t i = 0; i < n_tokens; ++i) sum += std::exp(static_cast<double>(logits[t * 700 + i]));
    nats += std::log(sum) - static_cast<double>(logits[t * 700 + tokens[t + 1]]);
  }
  const Outcome outcome = run_tern({.arguments = with_model("perplexity", {"-f", "-", "--json", "-q"}), .input = text});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NEAR(nlohmann::json::parse(outcome.out)["nats_per_token"].get<double>(),
              nats / static_cast<double>(tokens.size() - 1), 1e-9);
}

TEST_F(Commands, PerplexityComparesTheHeads) {
  const auto compare = [&](const std::string& head) {
    const Outcome outcome =
        run_tern({.arguments = with_model("perplexity",
                                          {"-f", "-", "--json", "-q", "--compare-head", "--head", head, "-c", "16"}),
                  .input = "Once upon a time there was a little day. The day said: play!"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  const auto int8 = compare("int8");
  const auto f16 = compare("f16");
  EXPECT_EQ(int8["head"], "int8");
  EXPECT_EQ(f16["head"], "F16");
  EXPECT_NE(int8["nats_per_token"], f16["nats_per_token"]);
  // Always KL(f16 || int8), whichever the perplexity is made with.
  EXPECT_EQ(int8["head_comparison"], f16["head_comparison"]);
  const auto comparison = int8["head_comparison"];
  EXPECT_GT(comparison["tokens"], 20);
  EXPECT_GT(comparison["mean_kl_nats"], 0.0);
  EXPECT_GE(comparison["largest_kl_nats"], comparison["mean_kl_nats"]);
  // Logits of standard deviation s that are off by a 254th: KL about (s / 254)^2 / 2; here s is below 4.
  EXPECT_LT(comparison["mean_kl_nats"], 2e-4);
  EXPECT_GT(comparison["equal_best_share"], 0.8);
  EXPECT_FALSE(
      nlohmann::json::parse(
          run_tern({.arguments = with_model("perplexity", {"-f", "-", "--json", "-q"}), .input = "Once upon"}).out)
          .contains("head_comparison"));
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
  EXPECT_EQ(object["n_layers"], 2);
  EXPECT_EQ(object["tensors"]["types"]["TQ2_0"]["tensors"], 14);
  EXPECT_EQ(object["tensors"]["list"].size(), 14u + 5u + 1u);
  // 2 layers of keys and values, 2 heads of 64 numbers of 4 bytes, for 100 tokens.
  EXPECT_EQ(object["memory"]["kv_bytes"], 2 * 2 * 2 * 64 * 4 * 100);
}

}  // namespace
}  // namespace tern::test
