#include <csignal>

#include "tests/tools/chat_fixture.h"

// tern chat without a terminal: lines in, answers out.
namespace tern::test {
namespace {

using Json = nlohmann::json;
using Chat = ChatCommandTest;

constexpr const char* kSave = "/save ";

TEST_F(Chat, AnswersEveryLineAsABatchDoesTheWholeConversation) {
  const Outcome outcome = chat("Once upon\n\nwhere?\nand then?\n" + (kSave + saved_), {"--system", "Tell stories."});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json messages = saved_messages();
  ASSERT_EQ(messages.size(), 7u);
  std::string answers;
  for (std::size_t i = 2; i < messages.size(); i += 2) {
    const Json record = {{"messages", std::vector<Json>(messages.begin(), messages.begin() + static_cast<int>(i))},
                         {"max_tokens", 8}};
    const Outcome batch =
        run_tern({.arguments = with_chat_model("batch", {"-q", "-c", "1000"}), .input = record.dump() + "\n"});
    const std::string text = Json::parse(batch.out)["text"];
    EXPECT_EQ(messages[i]["content"], text);
    answers += text + (text.ends_with('\n') ? "" : "\n");
  }
  EXPECT_EQ(outcome.out, answers);
}

TEST_F(Chat, LinesMayGoOnAndBeginWithASlash) {
  const Outcome outcome = chat("one\\\ntwo\r\n//etc\n" + (kSave + saved_) + "\n/quit\nnever asked\n");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const Json messages = saved_messages();
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0]["content"], "one\ntwo");
  EXPECT_EQ(messages[2]["content"], "/etc");
}

TEST_F(Chat, UnknownCommandsSendNothingAndTheChatGoesOn) {
  const Outcome outcome = chat("/nonsense now\n/reset all\n/save\nhello\n" + (kSave + saved_));
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(saved_messages().size(), 2u);
  for (const char* words : {"tern: no command /nonsense", "tern: /reset takes no argument", "tern: /save needs"}) {
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
  }
}

TEST_F(Chat, CommandsChangeTheConversation) {
  const Outcome outcome =
      chat("a\nb\n/undo\n/system Be brief.\nc\n/stats\n/help\n" + (kSave + saved_) + "\n/reset\n/undo\n");
  EXPECT_EQ(outcome.status, 2);  // of the last /undo
  const Json messages = saved_messages();
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0]["role"], "system");
  EXPECT_EQ(messages[1]["content"], "a");
  EXPECT_EQ(messages[3]["content"], "c");
  for (const char* words : {"of 1000 tokens", "were reused", "/undo", "nothing", "no question to take back"}) {
    const bool is_expected = std::string_view(words) != "nothing";
    EXPECT_EQ(outcome.err.find(words) != std::string::npos, is_expected) << words << " in " << outcome.err;
  }
}

TEST_F(Chat, GoesOnWithASavedConversation) {
  ASSERT_EQ(chat("a\nb\n" + (kSave + saved_)).status, 0);
  const std::string path = saved_;
  const Outcome whole = chat("a\nb\nc\n");
  const Outcome rest = chat("/load " + path + "\nc\n");
  EXPECT_EQ(rest.status, 0) << rest.err;
  EXPECT_TRUE(whole.out.ends_with(rest.out));
  EXPECT_FALSE(rest.out.empty());
}

TEST_F(Chat, RefusesFilesThatAreNoConversations) {
  const std::string bad = temporary_path("bad.json");
  const std::string user = R"({"role": "user", "content": "x"})";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "not valid JSON"},
      {"{\"messages\": [", "not valid JSON"},
      {"[]", "list of messages"},
      {R"({"messages": {}})", "list of messages"},
      {R"({"messages": [], "more": 1})", "nothing else"},
      {R"({"messages": [1]})", "message 1"},
      {R"({"messages": [{"role": "user"}]})", "role and content"},
      {R"({"messages": [{"role": "user", "content": 5}]})", "a text as its content"},
      {R"({"messages": [{"role": "<s>", "content": "x"}]})", "message 1: expected the role"},
      {R"({"messages": [)" + user + "]}", "without an answer"},
      {R"({"messages": [)" + user + "," + user + "]}", "message 2"},
      {R"({"messages": [{"role": "user", "content": ")" + std::string("\xff") + "\"}]}", "not valid JSON"},
      {std::string(5000, '['), "nested deeper"}};
  for (const auto& [content, words] : cases) {
    write(bad, content);
    std::filesystem::remove(saved_);
    const Outcome outcome = chat("a\n/load " + bad + "\n" + kSave + saved_);
    EXPECT_EQ(outcome.status, 3) << content;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("bad.json"), std::string::npos) << outcome.err;
    EXPECT_EQ(saved_messages().size(), 2u) << content;
  }
  EXPECT_EQ(chat("/load " + temporary_path("nowhere.json")).status, 4);
  EXPECT_EQ(chat("/load /dev/zero").status, 3);
}

TEST_F(Chat, SavingKeepsOtherFiles) {
  write(saved_, "dear diary");
  EXPECT_EQ(chat("a\n" + (kSave + saved_)).status, 2);
  EXPECT_EQ(read(saved_), "dear diary");
  EXPECT_EQ(chat("a\n/save " + temporary_path("no/such/folder/x.json")).status, 4);
}

TEST_F(Chat, SaysThatTheContextIsFull) {
  const Outcome outcome = chat("a\n" + std::string(200, 'q') + "\n/reset\nb\n" + (kSave + saved_), {}, "80");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("tern: the context of 80 tokens is full: /reset"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("-c"), std::string::npos);
  EXPECT_EQ(saved_messages()[0]["content"], "b");
}

TEST_F(Chat, KeepsTheConversationBetweenRuns) {
  const std::string session = temporary_path("work.tern");
  const Outcome whole = chat("a\nb\n");
  const Outcome first = chat("a\n", {"--session", session});
  const Outcome second = chat("b\n/stats\n", {"--session", session});
  EXPECT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(first.out + second.out, whole.out);
  EXPECT_EQ(second.err.find("; 0 more were reused"), std::string::npos) << second.err;
  EXPECT_EQ(Json::parse(read(session + ".json"))["messages"].size(), 4u);

  const std::string good = read(session);
  write(session, good.substr(0, good.size() / 2));
  expect_error(chat("c\n", {"--session", session}), 3, "work.tern");
  std::filesystem::remove(session);  // what was computed is gone, the messages are not
  EXPECT_EQ(chat("/undo\n/undo\n", {"--session", session}).status, 0);
  write(session + ".json", "{}");
  expect_error(chat("c\n", {"--session", session}), 3, "work.tern.json");
}

TEST_F(Chat, NeedsATemplateAndTakesOneByHand) {
  const auto plain = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"-q", "-n", "4"});
    return run_tern({.arguments = with_model("chat", more), .input = "hi\n"});
  };
  expect_error(plain({}), 2, "tern run");
  expect_error(plain({"--chat-template", "nobody"}), 4, "nobody");
  const std::string file = temporary_path("template.jinja");
  write(file, "{% if %}");
  expect_error(plain({"--chat-template", file}), 3, "template.jinja: chat template, line 1");
  write(file, "{{ messages[0].content }}:");
  const Outcome by_file = plain({"--chat-template", file});
  EXPECT_EQ(by_file.status, 0) << by_file.err;
  const Outcome by_name = plain({"--chat-template", "plain"});
  EXPECT_EQ(by_name.status, 0) << by_name.err;
  EXPECT_NE(by_name.out, by_file.out);
}

TEST_F(Chat, CtrlCEndsAScript) {
  // The first answer would take minutes.
  const Outcome outcome = run_tern(
      {.arguments = with_chat_model("chat", {"-q", "-n", "1000000", "-c", "1000000", "--logit-bias", "1=-inf"}),
       .input = "a\nb\n",
       .signal_after_output = SIGINT});
  EXPECT_EQ(outcome.status, 130);
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace tern::test
