#include "tern/conversation.h"

#include <utility>

#include "src/base/check.h"
#include "src/base/printable.h"

namespace tern {
namespace {

constexpr std::string_view kSystem = "system";
constexpr std::string_view kUser = "user";
constexpr std::string_view kAssistant = "assistant";

bool begins_with_system(const std::vector<ChatMessage>& messages) {
  return !messages.empty() && messages.front().role == kSystem;
}

}  // namespace

Conversation::Conversation(Session& session, ChatTemplate chat_template, ChatOptions options)
    : session_(session), chat_template_(std::move(chat_template)), options_(std::move(options)) {}

GenerateResult Conversation::ask(std::string_view question, const GenerateOptions& options,
                                 const std::function<void(std::string_view)>& on_text) {
  std::vector<ChatMessage> messages = messages_;
  messages.push_back({std::string(kUser), std::string(question)});
  const std::vector<Token> text = encode_chat(session_.model().tokenizer(), chat_template_, messages, options_);
  GenerateResult result;
  if (text.size() >= session_.context()) {
    result.reason = FinishReason::kContext;
    return result;
  }
  GenerateOptions answering = options;
  answering.continues_text = false;
  result = generate_after(session_, text, answering, on_text);
  n_reused_ += result.n_reused;
  if (result.tokens.empty() && result.reason == FinishReason::kCancelled) return result;
  messages.push_back({std::string(kAssistant), result.text});
  messages_ = std::move(messages);
  return result;
}

bool Conversation::undo() {
  if (n_turns() == 0) return false;
  messages_.resize(messages_.size() - 2);
  return true;
}

void Conversation::reset() { messages_.resize(n_system()); }

void Conversation::set_system(std::string_view text) {
  if (n_system() > 0) messages_.erase(messages_.begin());
  if (!text.empty()) messages_.insert(messages_.begin(), {std::string(kSystem), std::string(text)});
}

void Conversation::set_messages(std::vector<ChatMessage> messages) {
  const std::size_t n_system = begins_with_system(messages) ? 1 : 0;
  for (std::size_t i = n_system; i < messages.size(); ++i) {
    const std::string_view expected = (i - n_system) % 2 == 0 ? kUser : kAssistant;
    if (messages[i].role != expected) {
      fail(ErrorKind::kInvalidArgument, "message {}: expected the role {}, found '{}'", i + 1, expected,
           printable(messages[i].role));
    }
  }
  if ((messages.size() - n_system) % 2 != 0) {
    fail(ErrorKind::kInvalidArgument, "message {}: a question without an answer", messages.size());
  }
  messages_ = std::move(messages);
}

std::size_t Conversation::n_system() const noexcept { return begins_with_system(messages_) ? 1 : 0; }

}  // namespace tern
