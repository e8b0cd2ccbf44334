#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tern/model.h"
#include "tern/tokenizer.h"

namespace tern {

/// One turn of a conversation.
struct ChatMessage {
  /// "system", "user", "assistant", "tool". Trusted, since templates make control tokens of it: not for users to
  /// choose.
  std::string role;
  /// Whatever it holds, it cannot become a control token.
  std::string content;
  /// Further fields of the turn: a JSON object such as {"tool_calls": [...]}; empty for none. As harmless as content.
  std::string more_json = {};
};

struct ChatOptions {
  /// End with what makes the model answer.
  bool add_generation_prompt = true;
  /// Texts that the template may print; encode_chat() takes the tokenizer's where there is none.
  std::optional<std::string> bos_token = {};
  std::optional<std::string> eos_token = {};
  /// A JSON array of the tools that the model may call, as harmless as content; empty for none.
  std::string tools_json = {};
  /// Further variables of the template as JSON: {"enable_thinking", "false"}. Their strings are as harmless as content.
  std::map<std::string, std::string> variables = {};
  /// The date that strftime_now() gives; none takes the local time.
  std::optional<std::tm> now = {};
};

/// A rendered conversation, and which bytes of it came from messages, tools and variables rather than the template.
struct RenderedChat {
  std::string text;
  std::vector<TextRange> untrusted;  ///< ascending
};

namespace chat {
struct Program;
}

/// A compiled chat template in the subset of Jinja that such templates use, with the meaning that Hugging Face's
/// apply_chat_template() gives it.
///
/// Threads   immutable; may be shared
/// Cost      bounded in time and memory, whatever the template does (src/chat/limits.h)
class ChatTemplate {
 public:
  /// Errors    Error: kBadFile (not a template), kUnsupported (a statement that tern does not have; too large or deep a
  ///           template); all name the line
  [[nodiscard]] static ChatTemplate compile(std::string_view source);
  /// One of names(): for a model whose file has none.
  ///
  /// Errors    Error: kInvalidArgument (another name)
  [[nodiscard]] static ChatTemplate named(std::string_view name);
  [[nodiscard]] static std::vector<std::string_view> names();

  /// Errors    Error: kInvalidArgument (the template refuses the messages; JSON that is none), kBadFile (the template
  ///           does what makes no sense), kUnsupported (a filter, test or function that tern does not have, or
  ///           beyond a limit)
  /// Example
  ///   const auto chat = tern::ChatTemplate::compile(source);
  ///   const std::string prompt = chat.render(std::vector<tern::ChatMessage>{{"user", "Hello"}});
  [[nodiscard]] std::string render(std::span<const ChatMessage> messages, const ChatOptions& options = {}) const;
  /// As render(), and tells the user's text from the template's, for EncodeOptions::untrusted.
  [[nodiscard]] RenderedChat render_marked(std::span<const ChatMessage> messages,
                                           const ChatOptions& options = {}) const;

  [[nodiscard]] const std::string& source() const noexcept;

 private:
  explicit ChatTemplate(std::shared_ptr<const chat::Program> program);
  std::shared_ptr<const chat::Program> program_;
};

/// The template in the model's file; none when it has none. One that is known to be wrong is replaced by that of the
/// model's authors, which a note of ModelSummary says.
///
/// Errors    as ChatTemplate::compile
[[nodiscard]] std::optional<ChatTemplate> chat_template(const Model& model);

/// A conversation as the tokens that the model was trained on: the rendered text encoded in one piece, with BOS before
/// it when the file asks for one that the template does not print, and no EOS.
///
/// Control tokens are recognised where the template prints them, and only there.
/// Errors    as ChatTemplate::render
[[nodiscard]] std::vector<Token> encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                             std::span<const ChatMessage> messages, const ChatOptions& options = {});

}  // namespace tern
