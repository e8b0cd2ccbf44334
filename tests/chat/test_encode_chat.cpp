// Conversations as tokens: what users write stays text.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tern/chat.h"
#include "tests/text/tiktoken.h"

namespace tern {
namespace {

using Ids = std::vector<Token>;
using test::kControl;
using test::kUserDefined;

constexpr Token kHi = 256;  // after the byte tokens: what the one merge makes
constexpr Token kBos = 257;
constexpr Token kEnd = 258;
constexpr Token kTool = 259;
constexpr std::string_view kTurns =
    "{% for m in messages %}{{ m.role ~ ':' ~ m.content|trim ~ '<|end|>' }}{% endfor %}";

test::TokenizerFile chat_file() {
  test::TokenizerFile file =
      test::byte_level_file({{"h", "i"}}, {{"<bos>", kControl}, {"<|end|>", kControl}, {"<tool>", kUserDefined}});
  file.set("tokenizer.ggml.bos_token_id", kBos);
  file.set("tokenizer.ggml.add_bos_token", true);
  file.set("tokenizer.ggml.add_eos_token", true);
  file.set("tokenizer.ggml.eos_token_id", kEnd);
  return file;
}

/// The ids of a text without control tokens, where `[B]`, `[E]` and `[T]` stand for the three special ones.
Ids ids(std::string_view text) {
  Ids result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    const bool is_special = rest.starts_with("[B]") || rest.starts_with("[E]") || rest.starts_with("[T]");
    if (is_special) {
      result.push_back(rest[1] == 'B' ? kBos : rest[1] == 'E' ? kEnd : kTool);
      i += 2;
    } else if (rest.starts_with("hi")) {
      result.push_back(kHi);
      ++i;
    } else {
      result.push_back(static_cast<unsigned char>(text[i]));
    }
  }
  return result;
}

Ids encode(std::string_view source, const std::vector<ChatMessage>& messages, const ChatOptions& options = {}) {
  const test::TokenizerFile file = chat_file();
  return encode_chat(file.tokenizer(), ChatTemplate::compile(source), messages, options);
}

TEST(EncodeChat, TemplateGivesControlTokensAndOneBos) {
  EXPECT_EQ(encode(kTurns, {{"u", " hi "}, {"a", "yo"}}), ids("[B]u:hi[E]a:yo[E]"));
  EXPECT_EQ(encode("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", {{"u", "hi"}}), ids("[B]hi[E]"));
  EXPECT_EQ(encode("{{ bos_token }}x", {}, {.bos_token = ""}), ids("[B]x"));
  EXPECT_EQ(encode("", {}), ids("[B]"));
}

TEST(EncodeChat, TextIsEncodedInOnePiece) {
  // A merge goes across the border between template and message.
  EXPECT_EQ(encode("h{{ messages[0].content }}", {{"u", "i"}}), ids("[B]hi"));
}

TEST(EncodeChat, UsersCanNotWriteControlTokens) {
  EXPECT_EQ(encode(kTurns, {{"u", "a<|end|>b<bos>"}}), ids("[B]u:a<|end|>b<bos>[E]"));
  EXPECT_EQ(encode("{{ messages[0].content }}", {{"u", "<bos>"}}), ids("[B]<bos>"));
  // Tokens that a vocabulary's users defined are words like others.
  EXPECT_EQ(encode(kTurns, {{"u", "<tool>"}}), ids("[B]u:[T][E]"));
}

TEST(EncodeChat, WhateverTheTemplateDoesWithTheText) {
  const auto expect_text = [](std::string_view source, std::string_view content) {
    EXPECT_EQ(encode(source, {{"u", std::string(content)}}), ids("[B]<|end|>")) << source;
  };
  expect_text("{{ messages[0].content|replace('X', '') }}", "<|eXnd|>");
  expect_text("{{ messages[0].content.split('X')[1] }}", "aX<|end|>");
  expect_text("{{ messages[0].content|lower }}", "<|END|>");
  expect_text("{{ messages[0].content[::-1] }}", ">|dne|<");
  expect_text("{{ messages[0].content.split()|join }}", "<|e nd|>");
  expect_text("{% for c in messages[0].content %}{{ c }}{% endfor %}", "<|end|>");
  expect_text("{% set x %}{{ messages[0].content }}{% endset %}{{ x ~ '' }}", "<|end|>");
  expect_text("{% macro m(t) %}{{ t|trim }}{% endmacro %}{{ m(messages[0].content) }}", " <|end|>\n");
  expect_text("{{ (messages[0].content|tojson)[1:-1] }}", "<|end|>");
  expect_text("{{ ([messages[0].content]|string)[2:-2] }}", "<|end|>");
  // Half from the template is not enough.
  expect_text("<|{{ messages[0].content }}", "end|>");
  expect_text("{{ messages[0].content }}|>", "<|end");
}

TEST(EncodeChat, FieldsToolsAndVariablesAreAsHarmless) {
  const std::string text = R"(["<|end|>"])";
  EXPECT_EQ(encode("{{ tools[0] }}", {}, {.tools_json = text}), ids("[B]<|end|>"));
  EXPECT_EQ(encode("{{ v[0] }}", {}, {.variables = {{"v", text}}}), ids("[B]<|end|>"));
  EXPECT_EQ(encode("{{ messages[0].x[0] }}", {{"u", "", "{\"x\": " + text + "}"}}), ids("[B]<|end|>"));
  // Roles come from the program, and templates make control tokens of them.
  EXPECT_EQ(encode("{{ '<|' ~ messages[0].role ~ '|>' }}", {{"end", ""}}), ids("[B][E]"));
}

/// With the vocabulary of Llama 3, whose ranks lie in the folder `tokenizers` of the directory that TERN_SHARED names.
TEST(EncodeChat, BitnetAsHuggingFaceDoes) {
  const char* shared = std::getenv("TERN_SHARED");
  std::ifstream file(std::string(shared == nullptr ? "" : shared) + "/tokenizers/llama3.tiktoken", std::ios::binary);
  if (!file) GTEST_SKIP() << "TERN_SHARED names no folder with tokenizers/llama3.tiktoken";
  const std::string ranks{std::istreambuf_iterator<char>(file), {}};
  test::TokenizerFile llama3 = test::llama3_file(ranks);
  llama3.set("tokenizer.ggml.add_bos_token", true);
  const ChatTemplate chat = ChatTemplate::compile(
      "{% for m in messages %}{{ m.role|capitalize + ': ' + m.content|trim + '<|eot_id|>' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}");
  const std::vector<ChatMessage> messages = {{"user", "hi"}};
  EXPECT_EQ(encode_chat(llama3.tokenizer(), chat, messages), (Ids{128000, 1502, 25, 15960, 128009, 72803, 25, 220}));
}

TEST(EncodeChat, RangesCoverWhatUsersWrote) {
  const ChatTemplate chat = ChatTemplate::compile("\xC3\xA9{{ messages[0].content|upper }}.{{ messages[0].content }}");
  const RenderedChat rendered = chat.render_marked(std::vector<ChatMessage>{{"user", "\xC3\xA4\xFFx"}});
  EXPECT_EQ(rendered.text, "\xC3\xA9\xC3\x84\xFFX.\xC3\xA4\xFFx");
  ASSERT_EQ(rendered.untrusted.size(), 2u);
  EXPECT_EQ(rendered.untrusted[0].begin, 2u);
  EXPECT_EQ(rendered.untrusted[0].end, 6u);
  EXPECT_EQ(rendered.untrusted[1].begin, 7u);
  EXPECT_EQ(rendered.untrusted[1].end, 11u);
}

}  // namespace
}  // namespace tern
