#include "tern/generate.h"

#include <algorithm>

#include "src/base/check.h"
#include "src/engine/stop_filter.h"

namespace tern {
namespace {

void check(const GenerateOptions& options) {
  for (const std::string& stop : options.stop) {
    if (stop.empty()) fail(ErrorKind::kInvalidArgument, "stop: an empty text would stop at once");
  }
}

/// Tokens on their way to text: decoded, cut at a stop text, handed out.
class TextOut {
 public:
  TextOut(const Tokenizer& tokenizer, const GenerateOptions& options,
          const std::function<void(std::string_view)>& on_text, std::string& text)
      : decoder_(tokenizer), filter_(options.stop), on_text_(on_text), text_(text) {}

  /// False when the text has come to a stop text.
  bool push(Token token) {
    emit(filter_.push(decoder_.push(token)));
    return !filter_.stopped();
  }

  /// The decoder may still hold the beginning of a UTF-8 sequence: with no more tokens it is no text.
  void finish() { emit(filter_.flush()); }

 private:
  void emit(const std::string& text) {
    if (text.empty()) return;
    text_ += text;
    if (on_text_) on_text_(text);
  }

  StreamDecoder decoder_;
  engine::StopFilter filter_;
  const std::function<void(std::string_view)>& on_text_;
  std::string& text_;
};

bool cancelled(const GenerateOptions& options) { return options.keep_going && !options.keep_going(); }

/// Samples and feeds back. `logits`: those after the prompt; empty when it was cut short.
FinishReason run(Session& session, Sampler& sampler, const GenerateOptions& options, std::span<const float> logits,
                 std::vector<Token>& tokens, TextOut& text) {
  const Tokenizer& tokenizer = session.model().tokenizer();
  while (tokens.size() < options.max_tokens) {
    if (logits.empty() || cancelled(options)) return FinishReason::kCancelled;
    // Rows that fill up the embedding are no tokens.
    const Token token = sampler.sample(logits.first(std::min(logits.size(), tokenizer.vocab_size())));
    if (!options.ignore_eos && tokenizer.is_stop(token)) return FinishReason::kStopToken;
    sampler.accept(token);
    tokens.push_back(token);
    if (!text.push(token)) return FinishReason::kStopText;
    if (tokens.size() == options.max_tokens) break;
    if (session.position() == session.context()) return FinishReason::kContext;
    logits = session.evaluate(std::span(&token, 1), options.keep_going);
  }
  return logits.empty() ? FinishReason::kCancelled : FinishReason::kLength;
}

}  // namespace

std::string_view to_string(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::kStopToken:
      return "stop_token";
    case FinishReason::kStopText:
      return "stop_text";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContext:
      return "context";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "";
}

GenerateResult generate(Session& session, std::span<const Token> prompt, const GenerateOptions& options,
                        const std::function<void(std::string_view)>& on_text) {
  check(options);
  Sampler sampler(options.sampling);
  for (const Token token : prompt) sampler.accept(token);

  GenerateResult result;
  TextOut text(session.model().tokenizer(), options, on_text, result.text);
  const std::span<const float> logits = session.evaluate(prompt, options.keep_going);
  result.reason = run(session, sampler, options, logits, result.tokens, text);
  text.finish();
  return result;
}

}  // namespace tern
