#include <sys/stat.h>

#include "tests/tools/chat_fixture.h"
#include "tests/tools/terminal.h"

// tern chat as a person has it, on a terminal.
namespace tern::test {
namespace {

using Json = nlohmann::json;

constexpr const char* kCtrlC = "\x03";
constexpr const char* kCtrlD = "\x04";
constexpr const char* kUp = "\x1b[A";
constexpr const char* kLeft = "\x1b[D";

class ChatTerminal : public ChatCommandTest {
 protected:
  [[nodiscard]] Launch launch(std::vector<std::string> more = {}) const {
    return {.arguments = with_chat_model("chat", std::move(more)),
            .environment = {{"XDG_STATE_HOME", temporary_path("state")}, {"TERM", "xterm"}, {"NO_COLOR", "1"}}};
  }
  void save_one_question(Terminal& terminal) const {
    terminal.type("/save " + saved_ + "\n");
    ASSERT_TRUE(terminal.shows("1 question saved")) << terminal.shown();
    ASSERT_TRUE(terminal.shows("> "));
  }
  [[nodiscard]] std::string history_path() const { return temporary_path("state") + "/tern/history"; }

  const std::vector<std::string> short_ = {"-n", "4"};
  // Long enough that it would take minutes if it were not stopped.
  const std::vector<std::string> long_ = {"-n", "1000000", "-c", "1000000"};
};

TEST_F(ChatTerminal, AnswersAndLeaves) {
  Terminal terminal(launch(short_));
  ASSERT_TRUE(terminal.shows("/help lists commands")) << terminal.shown();
  ASSERT_TRUE(terminal.shows("> "));
  terminal.type("hello\n");
  ASSERT_TRUE(terminal.shows("cut after 4 tokens")) << terminal.shown();
  ASSERT_TRUE(terminal.shows("> "));
  ASSERT_NO_FATAL_FAILURE(save_one_question(terminal));
  terminal.type(kCtrlD);
  EXPECT_EQ(terminal.finish(), 0) << terminal.shown();
  EXPECT_EQ(saved_messages()[0]["content"], "hello");
}

TEST_F(ChatTerminal, CtrlDTypedDuringAnAnswerLeavesAfterIt) {
  Terminal terminal(launch({"-n", "3000", "-c", "4096"}));
  ASSERT_TRUE(terminal.shows("> "));
  terminal.type("hello\n");
  ASSERT_TRUE(terminal.shows("\n"));
  ASSERT_TRUE(terminal.shows("e"));  // some of the answer
  terminal.type(kCtrlD);
  EXPECT_EQ(terminal.finish(), 0) << terminal.shown();
}

TEST_F(ChatTerminal, CtrlCStopsAnAnswerThatStaysAsFarAsItCame) {
  Terminal terminal(launch(long_));
  ASSERT_TRUE(terminal.shows("> "));
  terminal.type("hello\n");
  ASSERT_TRUE(terminal.shows("\n"));  // the end of the line that was typed
  ASSERT_TRUE(terminal.shows("e"));   // some of the answer
  terminal.type(kCtrlC);
  ASSERT_TRUE(terminal.shows("the answer stays as far as it came")) << terminal.shown();
  ASSERT_TRUE(terminal.shows("> "));
  ASSERT_NO_FATAL_FAILURE(save_one_question(terminal));
  terminal.type("/quit\n");
  EXPECT_EQ(terminal.finish(), 0);
  ASSERT_EQ(saved_messages().size(), 2u);
  EXPECT_NE(saved_messages()[1]["content"], "");
}

TEST_F(ChatTerminal, CtrlCAtThePromptClearsTheLineAndASecondOneLeaves) {
  Terminal terminal(launch(short_));
  ASSERT_TRUE(terminal.shows("> "));
  terminal.type("not this");
  ASSERT_TRUE(terminal.shows("this"));
  terminal.type(kCtrlC);
  ASSERT_TRUE(terminal.shows("Ctrl-C again")) << terminal.shown();
  ASSERT_TRUE(terminal.shows("> "));
  terminal.type("but this\n");
  ASSERT_TRUE(terminal.shows("cut after 4 tokens")) << terminal.shown();
  ASSERT_TRUE(terminal.shows("> "));
  ASSERT_NO_FATAL_FAILURE(save_one_question(terminal));
  terminal.type(kCtrlC);
  ASSERT_TRUE(terminal.shows("Ctrl-C again")) << terminal.shown();
  ASSERT_TRUE(terminal.shows("> "));
  terminal.type(kCtrlC);
  EXPECT_EQ(terminal.finish(), 0) << terminal.shown();
  EXPECT_EQ(saved_messages()[0]["content"], "but this");
}

TEST_F(ChatTerminal, EditsLinesAndRemembersThem) {
  if (TERN_HAS_LINE_EDITING == 0) GTEST_SKIP() << "this build has no libedit";
  const auto ask = [&](const std::string& keys) {
    Terminal terminal(launch(short_));
    ASSERT_TRUE(terminal.shows("> "));
    terminal.type(keys + "\n");
    ASSERT_TRUE(terminal.shows("cut after 4 tokens")) << terminal.shown();
    ASSERT_TRUE(terminal.shows("> "));
    terminal.type("/save " + saved_ + "\n");
    ASSERT_TRUE(terminal.shows("saved to")) << terminal.shown();
    ASSERT_TRUE(terminal.shows("> "));
    terminal.type(kCtrlD);
    EXPECT_EQ(terminal.finish(), 0);
  };
  ask(std::string("gr\xC3\xBC\xC3\x9F") + kLeft + kLeft + "!");
  EXPECT_EQ(saved_messages()[0]["content"], "gr!\xC3\xBC\xC3\x9F");
  struct ::stat status {};
  ASSERT_EQ(::stat(history_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  std::filesystem::remove(saved_);
  ask(std::string(kUp) + kUp);  // the last line was /save
  EXPECT_EQ(saved_messages()[0]["content"], "gr!\xC3\xBC\xC3\x9F");
}

TEST_F(ChatTerminal, ALongHistoryIsCut) {
  if (TERN_HAS_LINE_EDITING == 0) GTEST_SKIP() << "this build has no libedit";
  std::filesystem::create_directories(std::filesystem::path(history_path()).parent_path());
  std::string lines;
  for (int i = 0; i < 3000; ++i) lines += "line " + std::to_string(i) + "\n";
  write(history_path(), lines);
  Terminal terminal(launch(short_));
  ASSERT_TRUE(terminal.shows("> "));
  terminal.type(kUp);
  EXPECT_TRUE(terminal.shows("line 2999")) << terminal.shown();
  terminal.type(kCtrlC);
  ASSERT_TRUE(terminal.shows("Ctrl-C again")) << terminal.shown();
  ASSERT_TRUE(terminal.shows("> "));
  terminal.type(kCtrlC);
  EXPECT_EQ(terminal.finish(), 0);
  const std::string kept = read(history_path());
  EXPECT_EQ(std::count(kept.begin(), kept.end(), '\n'), 1000);
  EXPECT_TRUE(kept.starts_with("line 2000\n"));
}

}  // namespace
}  // namespace tern::test
