#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/engine/model_file.h"

namespace tern {
namespace {

using test::GgufBuilder;
using test::ModelFile;

const std::string kMistake =
    "{% for m in messages %}{% if m.role == 'user' %}{{ 'Human: ' + m.content + '\\n\\nBITNETAssistant: ' }}{% endif %}"
    "{% endfor %}";
const std::vector<ChatMessage> kMessages = {{"user", " hi "}};

/// A model of this architecture and what its notes and its template's rendering of kMessages are.
struct Outcome {
  std::string text;  // "none" without a template
  std::size_t n_notes = 0;
};

Outcome open_with(const std::string& architecture, const std::string& key, const std::string& source) {
  GgufBuilder model = test::make_tiny_model({.architecture = architecture});
  if (!key.empty()) model.add(key, std::string_view(source));
  const ModelFile file(model.build());
  const auto opened = file.open();
  const auto chat = chat_template(*opened);
  Outcome outcome;
  outcome.text = chat ? chat->render(kMessages) : "none";
  for (const std::string& note : opened->summary().notes) {
    if (note.find("tokenizer.chat_template") != std::string::npos) ++outcome.n_notes;
  }
  return outcome;
}

TEST(ModelChatTemplate, IsTheFiles) {
  const Outcome outcome = open_with("llama", "tokenizer.chat_template", "<{{ messages[0].content }}>");
  EXPECT_EQ(outcome.text, "< hi >");
  EXPECT_EQ(outcome.n_notes, 0u);
  EXPECT_EQ(open_with("llama", "tokenizer.chat_template.default", "d{{ 1 }}").text, "d1");
  EXPECT_EQ(open_with("llama", "tokenizer.chat_template.tool_use", "d").text, "none");
  EXPECT_EQ(open_with("llama", "", "").text, "none");
}

TEST(ModelChatTemplate, BitnetsWrongOneIsReplaced) {
  const Outcome outcome = open_with("bitnet-b1.58", "tokenizer.chat_template", kMistake);
  EXPECT_EQ(outcome.text, "User: hi<|eot_id|>Assistant: ");
  EXPECT_EQ(outcome.n_notes, 1u);
  // Elsewhere it may be meant.
  EXPECT_EQ(open_with("llama", "tokenizer.chat_template", kMistake).text, "Human:  hi \n\nBITNETAssistant: ");
}

TEST(ModelChatTemplate, ATextOfAnotherTypeIsNone) {
  GgufBuilder model = test::make_tiny_model({});
  model.add("tokenizer.chat_template", std::uint32_t{7});
  const ModelFile file(model.build());
  EXPECT_FALSE(chat_template(*file.open()).has_value());
}

}  // namespace
}  // namespace tern
