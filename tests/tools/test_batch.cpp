#include <sys/mount.h>

#include <csignal>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "tests/tools/batch_fixture.h"

// tern batch over a tiny model: the same bytes whatever runs beside each record, and nothing lost or twice.
namespace tern::test {
namespace {

std::multiset<std::string> sorted_lines(const std::string& text) {
  std::multiset<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

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

/// What a file of results has to hold, whatever happened while it was written.
class KilledBatch : public BatchCommand {
 protected:
  void SetUp() override {
    BatchCommand::SetUp();
    write(input_, mixed_records(60) + "broken\n");
    EXPECT_EQ(run_tern(batch({"--force", "--parallel", "1", "-t", "1"})).status, 5);
    expected_ = read(output_);
    std::filesystem::remove(output_);
    std::filesystem::remove(output_ + ".run");
  }

  /// Resumes with the given options and kills, again and again, until a run comes to its end. Returns the kills.
  int kill_and_resume(std::mt19937& random, const std::vector<std::string>& options) {
    std::uniform_int_distribution<int> microseconds(1, 40'000);
    for (int n_killed = 0; n_killed < 1000; ++n_killed) {
      // A little longer each time, so that a slow machine comes to an end as well.
      const std::chrono::microseconds after(microseconds(random) * (20 + n_killed) / 20);
      const Outcome outcome = run_tern({.arguments = batch(options), .kill_after = after});
      if (outcome.status == 5) return n_killed;
      EXPECT_EQ(outcome.status, 128 + SIGKILL) << outcome.err;
      EXPECT_EQ(outcome.err, "");
    }
    ADD_FAILURE() << "comes to no end";
    return 0;
  }

  std::string expected_;
};

TEST_F(KilledBatch, LosesNothingAndRepeatsNothing) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  int n_killed = 0;
  for (int round = 0; round < 3; ++round) {
    n_killed += kill_and_resume(random, {"--resume", "-q", "--parallel", "4", "-t", "1"});
    EXPECT_EQ(read(output_), expected_);
    std::filesystem::remove(output_);
    std::filesystem::remove(output_ + ".run");
  }
  EXPECT_GT(n_killed, 0);
  static_cast<void>(kill_and_resume(random, {"--resume", "-q", "--parallel", "4", "-t", "1", "--unordered"}));
  EXPECT_EQ(sorted_lines(read(output_)), sorted_lines(expected_));
}

TEST_F(BatchCommand, ControlCLeavesWholeResults) {
  std::string records;
  for (int i = 0; i < 400; ++i)
    records += R"({"prompt": "x", "max_tokens": 100, "ignore_eos": true})"
               "\n";
  write(input_, records);
  const Outcome outcome = run_tern(
      {.arguments = with_model("batch", {"-i", input_, "-c", "160", "-t", "1"}), .signal_after_output = SIGINT});
  EXPECT_EQ(outcome.status, 130) << outcome.err;
  EXPECT_TRUE(outcome.out.ends_with('\n'));
  const auto n = std::count(outcome.out.begin(), outcome.out.end(), '\n');
  EXPECT_LT(n, 400);
  EXPECT_NE(outcome.err.find(std::to_string(n) + " result"), std::string::npos) << outcome.err;
}

TEST_F(BatchCommand, CountsOneResult) {
  const Outcome outcome = run_tern({.arguments = with_model("batch", {"-n", "1"}), .input = "{\"prompt\": \"x\"}\n"});
  EXPECT_NE(outcome.err.find("1 result;"), std::string::npos) << outcome.err;
}

TEST_F(BatchCommand, RefusesToGoOnWithSomethingElse) {
  static_cast<void>(plain_results());
  expect_error(run_tern(batch({"-q"})), 2, "--resume");
  expect_error(run_tern(batch({"-q", "--resume", "--temp", "0.5"})), 2, "temperature");
  const std::string other = temporary_path("other.gguf");
  write_file(other, make_tiny_model({.architecture = "qwen3"}).build());
  expect_error(run_tern({"batch", "-m", other, "-i", input_, "-o", output_, "-c", "160", "-q", "--resume"}), 2,
               "model");
  std::filesystem::rename(output_ + ".run", output_ + ".kept");
  expect_error(run_tern(batch({"-q", "--resume"})), 2, "out.jsonl.run is missing");
  for (const char* damage : {"", "{", "[]", "7"}) {
    write(output_ + ".run", damage);
    expect_error(run_tern(batch({"-q", "--resume"})), 2, "damaged");
  }
  std::filesystem::rename(output_ + ".kept", output_ + ".run");
  const std::string results = read(output_);
  for (const std::string damage : {"nonsense\n", "{}\n", "{\"line\": -1, \"id\": 1}\n"}) {
    write(output_, damage + results);
    expect_error(run_tern(batch({"-q", "--resume"})), 2, "line 1 is no result");
  }
  write(output_, results + results);
  expect_error(run_tern(batch({"-q", "--resume"})), 2, "a second result");
  write(output_, results);
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

/// A file system of so many bytes; nothing where this process may not mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    std::filesystem::create_directories(path_);
    mounted_ = ::mount("tern-test", path_.c_str(), "tmpfs", 0, "size=8k") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  [[nodiscard]] bool mounted() const { return mounted_; }
  void grow() const { ASSERT_EQ(::mount("tern-test", path_.c_str(), "tmpfs", MS_REMOUNT, "size=1m"), 0); }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST_F(BatchCommand, GoesOnWhenAFullDiskHasRoomAgain) {
  const SmallDisk disk(temporary_path("disk"));
  if (!disk.mounted()) GTEST_SKIP() << "no right to mount a file system";
  const std::string expected = plain_results();
  ASSERT_GT(expected.size(), 4096u);  // one of two pages is for out.jsonl.run
  output_ = temporary_path("disk") + "/out.jsonl";
  expect_error(run_tern(batch({"-q"})), 4, "No space left");
  const std::string begun = read(output_);
  EXPECT_FALSE(begun.empty());
  EXPECT_TRUE(begun.ends_with('\n') && expected.starts_with(begun)) << begun;
  expect_error(run_tern(batch({"-q", "--resume"})), 4, "No space left");
  disk.grow();
  EXPECT_EQ(run_tern(batch({"-q", "--resume"})).status, 0);
  EXPECT_EQ(read(output_), expected);
}

TEST_F(BatchCommand, AnEmptyPromptNeedsAModelThatAddsABeginning) {
  write(input_, "{\"prompt\": \"\"}\n{\"prompt\": \"a\"}\n");
  GgufBuilder model = make_tiny_model({.architecture = "llama"});
  model.remove("tokenizer.ggml.add_bos_token").add("tokenizer.ggml.add_bos_token", false);
  write_file(model_, model.build());
  EXPECT_EQ(run_tern(batch({"-q", "-n", "2"})).status, 5);
  const std::string results = read(output_);
  EXPECT_NE(results.find("the prompt is empty"), std::string::npos) << results;
  EXPECT_EQ(std::count(results.begin(), results.end(), '\n'), 2);
  CommandTest::SetUp();  // a model that adds one
  EXPECT_EQ(run_tern(batch({"-q", "-n", "2", "--force"})).status, 0);
}

TEST_F(BatchCommand, AnInputOfNothing) {
  for (const char* nothing : {"", "\n", "\n \r\n\t"}) {
    write(input_, nothing);
    const Outcome outcome = run_tern(batch({"--force", "-q"}));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(read(output_), "");
  }
  expect_error(run_tern(with_model("batch", {"-i", "/", "-q"})), 4, "/: cannot be read");
}

TEST_F(BatchCommand, RefusesOptionsThatMakeNoSense) {
  expect_error(run_tern(batch({"--memory", "4X"})), 2, "--memory");
  expect_error(run_tern(batch({"--memory", "1"})), 2, "memory");
  expect_error(run_tern(batch({"--parallel", "0"})), 2, "--parallel");
  expect_error(run_tern(batch({"--resume", "--force"})), 2, "--force");
}

}  // namespace
}  // namespace tern::test
