#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tern/chat.h"
#include "tern/generate.h"

namespace tern {

/// Questions and answers in turn, over a session that has read them: every turn computes what is new of the whole
/// conversation's tokens, and nothing else.
///
/// Threads   one caller at a time
/// Exact     an answer depends on model, template, messages and options alone, not on what the session held before
class Conversation {
 public:
  /// `session` has to outlive the conversation; it may hold any text.
  Conversation(Session& session, ChatTemplate chat_template, ChatOptions options = {});

  /// Puts a question; it and the answer become messages. An answer that was cut short stays as far as it came.
  ///
  /// Where nothing came before it was cancelled, or because the conversation leaves no room for an answer in the
  /// context (FinishReason::kContext), the question is taken back. continues_text of the options does not count.
  ///
  /// Errors    Error: as ChatTemplate::render and generate(); the messages are as before
  GenerateResult ask(std::string_view question, const GenerateOptions& options,
                     const std::function<void(std::string_view)>& on_text = {});

  /// Takes back the last question and its answer; false if there is none.
  bool undo();
  /// Forgets all but the system message.
  void reset();
  /// Replaces the system message, which comes first; empty removes it.
  void set_system(std::string_view text);
  /// Replaces all messages: perhaps one of role "system", then "user" and "assistant" in turn, an answer last.
  ///
  /// Errors    Error: kInvalidArgument (anything else); the messages are as before
  void set_messages(std::vector<ChatMessage> messages);

  [[nodiscard]] const std::vector<ChatMessage>& messages() const noexcept { return messages_; }
  [[nodiscard]] std::size_t n_turns() const noexcept { return (messages_.size() - n_system()) / 2; }
  [[nodiscard]] const Session& session() const noexcept { return session_; }
  /// Tokens that turns found computed by earlier ones, all in all.
  [[nodiscard]] std::size_t n_reused() const noexcept { return n_reused_; }

 private:
  /// 1 with a system message, else 0.
  [[nodiscard]] std::size_t n_system() const noexcept;

  Session& session_;
  ChatTemplate chat_template_;
  ChatOptions options_;
  std::vector<ChatMessage> messages_;
  std::size_t n_reused_ = 0;
};

}  // namespace tern
