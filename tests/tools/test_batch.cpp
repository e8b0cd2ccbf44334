#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/tools/fixture.h"

// tern batch over a tiny model: the same bytes whatever runs beside each record, and nothing lost or twice.
namespace tern::test {
namespace {

using Json = nlohmann::json;

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// Records of many lengths; every third begins like the others of its kind.
std::string mixed_records(int n) {
  std::string lines;
  for (int i = 0; i < n; ++i) {
    std::string prompt = i % 3 == 0 ? std::string(90, 'a') : "";
    for (int k = 0; k < i * 7 % 40; ++k) prompt += static_cast<char>('b' + (i + k) % 20);
    Json record = {{"id", "r" + std::to_string(i)}, {"prompt", prompt + "x"}, {"max_tokens", 1 + i % 9}, {"seed", i}};
    if (i % 4 == 0) record["temperature"] = 0;
    if (i % 5 == 0) record["logprobs"] = 2;
    lines += record.dump() + "\n";
  }
  return lines;
}

class BatchCommand : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    input_ = temporary_path("in.jsonl");
    output_ = temporary_path("out.jsonl");
    write(input_, mixed_records(40));
  }

  /// Arguments of a batch from input_ to output_.
  [[nodiscard]] std::vector<std::string> batch(std::vector<std::string> more) const {
    more.insert(more.begin(), {"-i", input_, "-o", output_, "-c", "160"});
    return with_model("batch", std::move(more));
  }
  /// The results of one run on one thread, one text at a time.
  [[nodiscard]] std::string plain_results() const {
    const Outcome outcome = run_tern(batch({"--force", "--parallel", "1", "-t", "1"}));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return read(output_);
  }

  std::string input_;
  std::string output_;
};

TEST_F(BatchCommand, GivesTheTextsOfTernRun) {
  const std::vector<std::pair<std::string, std::string>> ways = {{R"("seed": 3)", "--seed=3"},
                                                                 {R"("temperature": 0)", "--temp=0"}};
  for (const auto& [field, option] : ways) {
    const std::string record = R"({"prompt": "Once upon", "max_tokens": 6, )" + field + "}\n";
    const Outcome outcome = run_tern({.arguments = with_model("batch", {"-q"}), .input = record});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const std::string run = text_of({"-n", "6", "-q", "--json", option, "Once upon"});
    EXPECT_EQ(Json::parse(outcome.out)["text"], Json::parse(run)["text"]) << field;
  }
}

TEST_F(BatchCommand, TheSameBytesHoweverManyAtOnceAndOnHoweverManyThreads) {
  const std::string expected = plain_results();
  EXPECT_EQ(std::count(expected.begin(), expected.end(), '\n'), 40);
  for (const char* parallel : {"2", "8", "32"}) {
    for (const char* threads : {"1", "2"}) {
      const Outcome outcome = run_tern(batch({"--force", "--parallel", parallel, "-t", threads}));
      EXPECT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_EQ(read(output_), expected) << parallel << " at once, threads " << threads;
    }
  }
}

TEST_F(BatchCommand, ShardsHoldTogetherWhatOneRunHolds) {
  const std::string expected = plain_results();
  std::map<std::size_t, std::string> lines;
  for (int shard = 1; shard <= 3; ++shard) {
    // As an MPI starter would say it.
    const Outcome outcome = run_tern({.arguments = with_model("batch", {"-i", input_, "-o", output_ + ".{shard}", "-c",
                                                                        "160", "--shard", "auto", "-t", "1"}),
                                      .environment = {{"PMI_RANK", std::to_string(shard - 1)}, {"PMI_SIZE", "3"}}});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    std::istringstream in(read(output_ + "." + std::to_string(shard) + "of3"));
    for (std::string line; std::getline(in, line);) lines[Json::parse(line)["line"].get<std::size_t>()] = line + "\n";
  }
  std::string together;
  for (const auto& [number, line] : lines) together += line;
  EXPECT_EQ(together, expected);
}

TEST_F(BatchCommand, GoesOnAfterBeingKilled) {
  const std::string expected = plain_results();
  std::filesystem::remove(output_);
  std::filesystem::remove(output_ + ".run");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(run_tern(batch({"--resume", "--parallel", "4"})).status, 0);
    // What a kill leaves behind: some whole lines, and a part of one.
    const std::string all = read(output_);
    write(output_, all.substr(0, all.size() * static_cast<std::size_t>(i + 1) / 7));
  }
  const Outcome outcome = run_tern(batch({"--resume", "--parallel", "3"}));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(read(output_), expected);
}

TEST_F(BatchCommand, RefusesToGoOnWithSomethingElse) {
  static_cast<void>(plain_results());
  expect_error(run_tern(batch({"-q"})), 2, "--resume");
  expect_error(run_tern(batch({"-q", "--resume", "--temp", "0.5"})), 2, "temperature");
  const std::string other = temporary_path("other.gguf");
  write_file(other, make_tiny_model({.architecture = "qwen3"}).build());
  expect_error(run_tern({"batch", "-m", other, "-i", input_, "-o", output_, "-c", "160", "-q", "--resume"}), 2,
               "model");
  write(input_, mixed_records(40).replace(mixed_records(40).find("\"r1\""), 4, "\"zz\""));
  expect_error(run_tern(batch({"-q", "--resume"})), 2, "the input has changed");
}

TEST_F(BatchCommand, AWrongRecordHasAnErrorOfItsOwn) {
  write(input_,
        "{\"prompt\": \"a\"}\nbroken\n{\"prompt\": 1}\n\n{\"promt\": \"x\"}\n{\"id\": 7, \"prompt\": \"b\"}\n"
        "{\"id\": 7, \"prompt\": \"b\"}\n{\"prompt\": \"\xff\"}\n{\"prompt\": \"" +
            std::string(900, 'q') +
            "\"}\n{\"prompt\": \"a\", \"messages\": []}\n{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n"
            "{\"prompt\": \"a\", \"top_p\": 7}\n[1]\n{\"prompt\": \"last\"}");
  const Outcome outcome = run_tern(batch({"-q", "-n", "2"}));
  EXPECT_EQ(outcome.status, 5) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const std::map<std::size_t, std::string> errors = {
      {2, "not valid JSON"},    {3, "expected a text"},   {5, "unknown field"},
      {7, "was there before"},  {8, "not valid JSON"},    {9, "does not fit in the context"},
      {10, "list of messages"}, {11, "no chat template"}, {12, "top_p"},
      {13, "an object"}};
  std::size_t n_lines = 0;
  std::istringstream in(read(output_));
  for (std::string line; std::getline(in, line); ++n_lines) {
    const Json result = Json::parse(line);
    const auto expected = errors.find(result["line"].get<std::size_t>());
    if (expected == errors.end()) {
      EXPECT_TRUE(result.contains("text")) << line;
    } else {
      EXPECT_NE(result.value("error", "").find(expected->second), std::string::npos) << line;
    }
  }
  EXPECT_EQ(n_lines, 13u);
}

TEST_F(BatchCommand, SaysWhenOutputCanNotBeWritten) {
  const std::vector<std::string> to_full = {"-i", input_, "-o", "/dev/full", "-q", "-c", "160"};
  if (std::filesystem::exists("/dev/full")) expect_error(run_tern(with_model("batch", to_full)), 4, "/dev/full");
  const Outcome closed =
      run_tern({.arguments = with_model("batch", {"-i", input_, "-q", "-c", "160"}), .close_output_early = true});
  EXPECT_EQ(closed.status, 141);
  expect_error(run_tern(with_model("batch", {"-i", "nowhere.jsonl", "-q"})), 4, "nowhere.jsonl");
}

TEST_F(BatchCommand, RefusesOptionsThatMakeNoSense) {
  expect_error(run_tern(batch({"--memory", "4X"})), 2, "--memory");
  expect_error(run_tern(batch({"--memory", "1"})), 2, "memory");
  expect_error(run_tern(batch({"--parallel", "0"})), 2, "--parallel");
  expect_error(run_tern(batch({"--shard", "4/3"})), 2, "--shard");
  expect_error(run_tern(batch({"--shard", "1/3"})), 2, "{shard}");
  expect_error(run_tern(batch({"--shard", "auto"})), 2, "found no rank");
  expect_error(run_tern(batch({"--resume", "--force"})), 2, "--force");
}

}  // namespace
}  // namespace tern::test
