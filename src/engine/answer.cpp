#include "src/engine/answer.h"

#include <algorithm>

#include "src/base/check.h"
#include "src/engine/log_probabilities.h"

namespace tern::engine {

void check(const GenerateOptions& options) {
  for (const std::string& stop : options.stop) {
    if (stop.empty()) fail(ErrorKind::kInvalidArgument, "stop: an empty text would stop at once");
  }
}

Answer::Answer(const Tokenizer& tokenizer, const GenerateOptions& options, std::span<const Token> prompt,
               const std::function<void(std::string_view)>& on_text)
    : tokenizer_(tokenizer),
      options_(options),
      on_text_(on_text),
      sampler_(options.sampling),
      decoder_(tokenizer, options.continues_text),
      filter_(options.stop) {
  for (const Token token : prompt) sampler_.accept(token);
}

std::optional<Token> Answer::next(std::span<const float> logits, bool has_room) {
  if (result_.tokens.size() >= options_.max_tokens) return end_with(FinishReason::kLength);
  // Rows that fill up the embedding are no tokens.
  logits = logits.first(std::min(logits.size(), tokenizer_.vocab_size()));
  const Token token = sampler_.sample(logits);
  if (!options_.ignore_eos && tokenizer_.is_stop(token)) return end_with(FinishReason::kStopToken);
  sampler_.accept(token);
  result_.tokens.push_back(token);
  if (options_.logprobs) result_.logprobs.push_back(log_probabilities(logits, token, *options_.logprobs));
  emit(filter_.push(decoder_.push(token)));
  if (filter_.stopped()) return end_with(FinishReason::kStopText);
  if (result_.tokens.size() == options_.max_tokens) return end_with(FinishReason::kLength);
  if (!has_room) return end_with(FinishReason::kContext);
  return token;
}

GenerateResult Answer::finish() {
  // The decoder may still hold the beginning of a UTF-8 sequence: with no more tokens it is no text.
  emit(filter_.flush());
  return std::move(result_);
}

void Answer::emit(std::string_view text) {
  if (text.empty()) return;
  result_.text += text;
  if (on_text_) on_text_(text);
}

std::optional<Token> Answer::end_with(FinishReason reason) {
  end(reason);
  return std::nullopt;
}

}  // namespace tern::engine
