#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/engine/model_file.h"
#include "tests/support/expect_error.h"

// Conversations over a tiny model: what it says makes no sense, but has to be what it says to the whole text.
namespace tern {
namespace {

using test::ModelFile;

const std::string kTurns =
    "{% for m in messages %}{% if m.content == 'refuse' %}{{ raise_exception('no such question') }}{% endif %}"
    "{{ m.role ~ ': ' ~ m.content ~ '</s>' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
const GenerateOptions kShort = {.max_tokens = 12, .sampling = {.temperature = 0.9f, .seed = 4}};

class ConversationTest : public testing::Test {
 protected:
  [[nodiscard]] Session session(std::size_t context = 1000) const {
    return Session(model_, {.context = context, .threads = 1});
  }
  /// What the model says when nothing was computed before.
  [[nodiscard]] std::string answer_to(std::vector<ChatMessage> messages, const std::string& question) const {
    messages.push_back({"user", question});
    Session fresh = session();
    GenerateOptions options = kShort;
    options.continues_text = false;
    return generate(fresh, encode_chat(model_->tokenizer(), template_, messages), options).text;
  }

  std::shared_ptr<const Model> model_ =
      ModelFile(test::TinyModelOptions{.architecture = "llama", .chat_template = kTurns}).open();
  ChatTemplate template_ = chat_template(*model_).value();
};

TEST_F(ConversationTest, AnswersTheWholeTextAndComputesOnlyWhatIsNew) {
  Session s = session();
  Conversation conversation(s, template_);
  conversation.set_system("Tell stories.");
  std::size_t n_computed = 0;
  for (const char* question : {"Once upon a time", "and there?", "The end"}) {
    const std::string expected = answer_to(conversation.messages(), question);
    const GenerateResult result = conversation.ask(question, kShort);
    EXPECT_EQ(result.text, expected) << question;
    const SessionStats stats = s.stats();
    const std::size_t n_now = stats.prompt_tokens + stats.decode_tokens - n_computed;
    // Everything that is held now was either there or computed in this turn.
    EXPECT_EQ(result.n_reused + n_now, s.position()) << question;
    n_computed += n_now;
  }
  EXPECT_EQ(conversation.n_turns(), 3u);
  EXPECT_GT(conversation.n_reused(), 40u);
  EXPECT_LT(n_computed, s.position() + 40);
}

TEST_F(ConversationTest, AnInterruptedAnswerStaysAsFarAsItCame) {
  Session s = session();
  Conversation conversation(s, template_);
  GenerateOptions options = kShort;
  std::string printed;
  options.keep_going = [&] { return printed.size() < 4; };
  const auto result = conversation.ask("Once", options, [&](std::string_view text) { printed += text; });
  EXPECT_EQ(result.reason, FinishReason::kCancelled);
  ASSERT_EQ(conversation.messages().size(), 2u);
  EXPECT_EQ(conversation.messages()[1].content, printed);
  EXPECT_TRUE(answer_to({}, "Once").starts_with(printed));
  EXPECT_EQ(conversation.ask("more", kShort).text, answer_to({{"user", "Once"}, {"assistant", printed}}, "more"));
}

TEST_F(ConversationTest, AQuestionWithoutAnyAnswerIsTakenBack) {
  Session s = session(40);
  Conversation conversation(s, template_);
  GenerateOptions stopped = kShort;
  stopped.keep_going = [] { return false; };
  EXPECT_EQ(conversation.ask("Once", stopped).reason, FinishReason::kCancelled);
  EXPECT_EQ(conversation.ask(std::string(50, 'q'), kShort).reason, FinishReason::kContext);
  EXPECT_THROW(static_cast<void>(conversation.ask("refuse", kShort)), Error);
  GenerateOptions wrong = kShort;
  wrong.sampling.temperature = -1;
  EXPECT_THROW(static_cast<void>(conversation.ask("Once", wrong)), Error);
  EXPECT_TRUE(conversation.messages().empty());
  EXPECT_EQ(conversation.ask("a", {.max_tokens = 3}).tokens.size(), 3u);
  EXPECT_EQ(conversation.n_turns(), 1u);
}

TEST_F(ConversationTest, GoesOnUntilTheContextIsFull) {
  Session s = session(60);
  Conversation conversation(s, template_);
  conversation.set_system("x");
  std::size_t n_answered = 0;
  FinishReason reason = FinishReason::kLength;
  while (reason == FinishReason::kLength && n_answered < 60) {
    reason = conversation.ask("a", {.max_tokens = 2, .ignore_eos = true}).reason;
    n_answered = conversation.n_turns();
  }
  EXPECT_EQ(reason, FinishReason::kContext);
  EXPECT_GE(n_answered, 1u);
  conversation.reset();
  EXPECT_EQ(conversation.messages().size(), 1u);
  EXPECT_EQ(conversation.ask("a", {.max_tokens = 2, .ignore_eos = true}).tokens.size(), 2u);
}

TEST_F(ConversationTest, UndoTakesBackTheLastTurnAlone) {
  Session s = session();
  Conversation conversation(s, template_);
  EXPECT_FALSE(conversation.undo());
  conversation.set_system("Tell stories.");
  EXPECT_FALSE(conversation.undo());
  const std::string first = conversation.ask("Once", kShort).text;
  static_cast<void>(conversation.ask("there", kShort));
  EXPECT_TRUE(conversation.undo());
  ASSERT_EQ(conversation.messages().size(), 3u);
  EXPECT_EQ(conversation.messages()[2].content, first);
  conversation.set_system("");
  EXPECT_EQ(conversation.messages()[0].role, "user");
  EXPECT_TRUE(conversation.undo());
  EXPECT_TRUE(conversation.messages().empty());
}

TEST_F(ConversationTest, TakesOnlyQuestionsAndAnswersInTurn) {
  Session s = session();
  Conversation conversation(s, template_);
  conversation.set_messages({{"system", "s"}, {"user", "a"}, {"assistant", "b"}});
  const auto refuses = [&](std::vector<ChatMessage> messages, std::string_view part) {
    test::expect_error(ErrorKind::kInvalidArgument, part, [&] { conversation.set_messages(messages); });
  };
  refuses({{"user", "a"}}, "without an answer");
  refuses({{"assistant", "a"}}, "message 1");
  refuses({{"user", "a"}, {"user", "b"}}, "message 2");
  refuses({{"user", "a"}, {"system", "b"}}, "assistant");
  refuses({{"system", "a"}, {"system", "b"}}, "message 2");
  EXPECT_EQ(conversation.n_turns(), 1u);
  conversation.set_messages({});
  EXPECT_TRUE(conversation.messages().empty());
}

}  // namespace
}  // namespace tern
