#include "tests/tools/chat_fixture.h"

// tern run --session and --chat: the same text, sooner; one question.
namespace tern::test {
namespace {

using Json = nlohmann::json;

class RunSession : public ChatCommandTest {
 protected:
  void SetUp() override {
    ChatCommandTest::SetUp();
    session_ = temporary_path("text.tern");
  }
  [[nodiscard]] Outcome generate(const std::string& prompt, std::vector<std::string> more = {}) const {
    const bool has_context = std::ranges::find(more, "-c") != more.end();
    if (!has_context) more.insert(more.end(), {"-c", "400"});
    more.insert(more.end(), {"-n", "10", "--seed", "9", "-t", "1", "-p", prompt});
    return run_tern(with_model("run", more));
  }
  /// Text, tokens, hash of the logits and how many tokens were reused, with and without the file of the session.
  [[nodiscard]] Json result(const std::string& prompt, std::vector<std::string> more) const {
    more.push_back("--json");
    const Outcome outcome = generate(prompt, more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return Json::parse(outcome.out);
  }

  std::string session_;
};

TEST_F(RunSession, GivesTheSameTextAndLogitsAsWithout) {
  const std::string beginning = "Once upon a time there was " + std::string(290, 'b');
  const std::vector<std::pair<std::string, bool>> prompts = {
      {beginning, false},          // nothing is there yet
      {beginning, true},           // the same again: all but the last token
      {beginning + " and", true},  // more
      {"Once upon a day", true},   // less, and something else
      {"Quite another", true},     // BOS alone
  };
  for (const auto& [prompt, has_reused] : prompts) {
    const Json without = result(prompt, {"-q"});
    const Json with = result(prompt, {"-q", "--session", session_});
    for (const char* field : {"text", "tokens", "logits_hash", "finish_reason"}) {
      EXPECT_EQ(with[field], without[field]) << field << " of " << prompt;
    }
    EXPECT_EQ(with["timings"]["reused_tokens"].get<int>() > 0, has_reused) << prompt;
    EXPECT_EQ(without["timings"]["reused_tokens"], 0);
  }
  const Outcome again = generate(beginning, {"--session", session_});
  EXPECT_EQ(again.out, generate(beginning, {"-q"}).out);
  EXPECT_NE(again.err.find(" reused)"), std::string::npos) << again.err;
  const std::string all_but_one = generate(beginning, {"--session", session_}).err;
  EXPECT_NE(all_but_one.find(" reused); generated"), std::string::npos) << "no speed of nothing: " << all_but_one;
}

TEST_F(RunSession, ComputesOnlyTheLastTokenOfTheSamePrompt) {
  const std::string prompt(200, 'c');
  const Json first = result(prompt, {"-q", "--session", session_});
  const Json second = result(prompt, {"-q", "--session", session_});
  EXPECT_EQ(second["timings"]["reused_tokens"].get<int>(), first["timings"]["prompt_tokens"].get<int>() - 1);
  EXPECT_EQ(second["timings"]["prompt_tokens"], 0);  // a token alone counts as decoded
  EXPECT_EQ(second["timings"]["decode_tokens"].get<int>(), first["timings"]["decode_tokens"].get<int>() + 1);
}

TEST_F(RunSession, RefusesAFileThatIsNotItsOwnAndLeavesIt) {
  ASSERT_EQ(generate("Once", {"--session", session_}).status, 0);
  const std::string good = read(session_);
  const auto refuses = [&](const std::string& bytes, int status, const std::string& words,
                           const std::vector<std::string>& more = {}) {
    write(session_, bytes);
    std::vector<std::string> options = {"-q", "--session", session_};
    options.insert(options.end(), more.begin(), more.end());
    expect_error(generate("Once", options), status, words);
    EXPECT_EQ(read(session_), bytes);
  };
  refuses("", 3, "text.tern");
  refuses("something else", 3, "text.tern");
  refuses(good.substr(0, good.size() - 9), 3, "bytes");
  refuses(good + "x", 3, "bytes");
  std::string flipped = good;
  flipped[flipped.size() / 2] ^= 1;
  refuses(flipped, 3, "checksum");
  refuses(good, 3, "(--kv): expected f32, found f16", {"--kv", "f32"});
  refuses(good, 2, "context", {"-c", "3"});
  expect_error(run_tern(with_chat_model("run", {"-q", "--session", session_, "Once"})), 3, "another model");
  EXPECT_EQ(generate("Once", {"-q", "--session", session_}).status, 0);
}

TEST_F(RunSession, SaysWhereItCanNotWrite) {
  expect_error(generate("Once", {"-q", "--session", temporary_path("no/folder/x")}), 4, "no/folder");
  expect_error(generate("Once", {"-q", "--session", "/tmp"}), 4, "/tmp");
}

TEST_F(RunSession, ChatPutsOneQuestion) {
  const std::vector<std::string> common = {"-q", "-n", "8", "--seed", "2"};
  std::vector<std::string> options = common;
  options.insert(options.end(), {"--chat", "--system", "Tell stories.", "Once upon"});
  const Outcome run = run_tern(with_chat_model("run", options));
  ASSERT_EQ(run.status, 0) << run.err;
  const Json record = {
      {"messages", {{{"role", "system"}, {"content", "Tell stories."}}, {{"role", "user"}, {"content", "Once upon"}}}}};
  const Outcome batch = run_tern({.arguments = with_chat_model("batch", common), .input = record.dump() + "\n"});
  EXPECT_EQ(run.out, Json::parse(batch.out)["text"]);
  std::vector<std::string> plain = common;
  plain.push_back("Once upon");
  EXPECT_NE(run_tern(with_chat_model("run", plain)).out, run.out);
}

TEST_F(RunSession, ChatNeedsATemplateAndItsOptionsNeedChat) {
  expect_error(generate("Once", {"-q", "--chat"}), 2, "--chat-template");
  expect_error(generate("Once", {"-q", "--system", "x"}), 2, "--chat");
  expect_error(generate("Once", {"-q", "--chat-template", "plain"}), 2, "--chat");
  EXPECT_EQ(generate("Once", {"-q", "--chat", "--chat-template", "plain"}).status, 0);
}

}  // namespace
}  // namespace tern::test
