#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "src/engine/stop_filter.h"
#include "tern/generate.h"

namespace tern::engine {

/// Errors    Error(kInvalidArgument): an empty stop text
void check(const GenerateOptions& options);

/// An answer in the making: chooses tokens and turns them into text until something ends it. It knows nothing of where
/// the logits come from, so that one text alone, a text with guessed tokens and a batch of texts end alike.
///
/// Threads   one caller at a time
class Answer {
 public:
  /// `options` and `on_text` must outlive the answer; on_text may be empty.
  /// Errors    Error(kInvalidArgument): sampling options out of their range
  Answer(const Tokenizer& tokenizer, const GenerateOptions& options, std::span<const Token> prompt,
         const std::function<void(std::string_view)>& on_text);

  /// Chooses the next token from the logits after the last one, (vocab_size). Returns it if it is to be fed back;
  /// nothing when it was the last. `has_room`: whether the context holds one more token.
  std::optional<Token> next(std::span<const float> logits, bool has_room);

  /// Ends the answer from outside.
  void end(FinishReason reason) { result_.reason = reason; }

  [[nodiscard]] const std::vector<Token>& tokens() const noexcept { return result_.tokens; }
  /// Hands out what is held back of the text. Call once, at the end.
  [[nodiscard]] GenerateResult finish();

 private:
  void emit(std::string_view text);
  std::optional<Token> end_with(FinishReason reason);

  const Tokenizer& tokenizer_;
  const GenerateOptions& options_;
  const std::function<void(std::string_view)>& on_text_;
  Sampler sampler_;
  StreamDecoder decoder_;
  StopFilter filter_;
  GenerateResult result_;
};

}  // namespace tern::engine
