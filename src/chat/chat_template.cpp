#include <algorithm>

#include "src/base/check.h"
#include "src/base/printable.h"
#include "src/chat/interpreter.h"
#include "src/chat/json.h"
#include "src/chat/operations.h"
#include "src/chat/parser.h"
#include "tern/chat.h"

namespace tern {
namespace chat {

struct Program {
  std::string source;
  Statements statements;
};

namespace {

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm date{};
  localtime_r(&now, &date);
  return date;
}

/// The message as the dict that templates expect.
Value message_value(Run& run, const ChatMessage& message) {
  std::vector<Dict::Entry> entries;
  entries.emplace_back(run.text(std::string_view("role")), run.text(from_utf8(message.role)));
  entries.emplace_back(run.text(std::string_view("content")), run.text(from_utf8(message.content, kUserBit)));
  if (!message.more_json.empty()) {
    const Value more = parse_json(run, message.more_json, "fields of a message", kUserBit);
    if (more.dict() == nullptr) {
      fail(ErrorKind::kInvalidArgument, "chat: fields of a message: expected a JSON object, found {}", describe(more));
    }
    for (const auto& [key, value] : more.dict()->entries) put(run, entries, key, value);
  }
  return run.dict(std::move(entries));
}

/// The variables that Hugging Face gives to a template; without tools or documents these are none, not undefined.
std::shared_ptr<Scope> make_globals(Run& run, std::span<const ChatMessage> messages, const ChatOptions& options) {
  auto globals = std::make_shared<Scope>(nullptr);
  const auto set = [&](const std::string& name, Value value) {
    globals->variables.insert_or_assign(name, std::move(value));
  };
  std::vector<Value> turns;
  for (const ChatMessage& message : messages) turns.push_back(message_value(run, message));
  set("messages", run.list(std::move(turns)));
  set("tools", options.tools_json.empty() ? Value(None{}) : parse_json(run, options.tools_json, "tools", kUserBit));
  set("documents", None{});
  set("add_generation_prompt", options.add_generation_prompt);
  set("bos_token", run.text(from_utf8(options.bos_token.value_or(""))));
  set("eos_token", run.text(from_utf8(options.eos_token.value_or(""))));
  for (const auto& [name, json] : options.variables) {
    set(name, parse_json(run, json, fmt::format("variable '{}'", printable(name)), kUserBit));
  }
  return globals;
}

}  // namespace
}  // namespace chat

ChatTemplate::ChatTemplate(std::shared_ptr<const chat::Program> program) : program_(std::move(program)) {}

ChatTemplate ChatTemplate::compile(std::string_view source) {
  return or_out_of_memory("this chat template", [&] {
    return ChatTemplate(std::make_shared<const chat::Program>(chat::Program{std::string(source), chat::parse(source)}));
  });
}

const std::string& ChatTemplate::source() const noexcept { return program_->source; }

RenderedChat ChatTemplate::render_marked(std::span<const ChatMessage> messages, const ChatOptions& options) const {
  return or_out_of_memory("this chat", [&] {
    chat::Run run(options.now ? *options.now : chat::local_time());
    const auto globals = chat::make_globals(run, messages, options);
    const chat::Text text = chat::Interpreter(run).render(program_->statements, globals);
    return RenderedChat{chat::to_utf8(text), chat::user_ranges(text)};
  });
}

std::string ChatTemplate::render(std::span<const ChatMessage> messages, const ChatOptions& options) const {
  return render_marked(messages, options).text;
}

std::vector<Token> encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                               std::span<const ChatMessage> messages, const ChatOptions& options) {
  const auto piece = [&](std::optional<Token> token) { return token ? tokenizer.piece(*token, true) : std::string(); };
  ChatOptions complete = options;
  if (!complete.bos_token) complete.bos_token = piece(tokenizer.bos());
  if (!complete.eos_token) complete.eos_token = piece(tokenizer.eos());
  const RenderedChat chat = chat_template.render_marked(messages, complete);
  std::vector<Token> tokens = tokenizer.encode(chat.text, {.parse_special = true, .untrusted = chat.untrusted});
  const bool needs_bos = tokenizer.adds_bos() && (tokens.empty() || tokens[0] != *tokenizer.bos());
  if (needs_bos) tokens.insert(tokens.begin(), *tokenizer.bos());
  return tokens;
}

}  // namespace tern
