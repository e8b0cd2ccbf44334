#include "tern/generate.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "src/base/check.h"
#include "src/engine/answer.h"
#include "src/engine/lookup.h"

namespace tern {
namespace {

using engine::Answer;

bool cancelled(const GenerateOptions& options) { return options.keep_going && !options.keep_going(); }

bool has_room(const Session& session) { return session.position() < session.context(); }

/// Samples and feeds back. `logits`: those after the prompt.
void run(Session& session, Answer& answer, const GenerateOptions& options, std::span<const float> logits) {
  while (true) {
    if (cancelled(options)) return answer.end(FinishReason::kCancelled);
    const std::optional<Token> token = answer.next(logits, has_room(session));
    if (!token) return;
    logits = session.evaluate(std::span(&*token, 1));
  }
}

/// As run(), with guesses computed along with each token. What follows a wrong guess is never looked at, so the answer
/// is the same.
class RunAhead {
 public:
  RunAhead(Session& session, Answer& answer, const GenerateOptions& options)
      : session_(session), answer_(answer), options_(options) {}

  void run(std::span<const Token> prompt, std::span<const float> logits) {
    for (const Token token : prompt) lookup_.push(token);
    std::optional<Token> token = answer_.next(logits, has_room(session_));
    while (token) {
      if (cancelled(options_)) return answer_.end(FinishReason::kCancelled);
      lookup_.push(*token);
      token = pass(*token);
    }
  }

  [[nodiscard]] std::size_t n_guessed() const { return n_guessed_; }
  [[nodiscard]] std::size_t n_right() const { return n_right_; }

 private:
  /// Computes a certain token and the guesses after it; returns the token after those that came true.
  std::optional<Token> pass(Token certain) {
    const std::size_t begin = session_.position();
    const std::size_t room = session_.context() - begin - 1;
    const std::size_t wanted = options_.max_tokens - answer_.tokens().size() - 1;
    tokens_.assign(1, certain);
    for (const Token guess : lookup_.guess(std::min(room, wanted))) tokens_.push_back(guess);
    const std::span<const float> rows = evaluate();
    const std::size_t vocab_size = rows.size() / tokens_.size();
    for (std::size_t n = 1;; ++n) {
      const auto logits = rows.subspan((n - 1) * vocab_size, vocab_size);
      const std::optional<Token> token = answer_.next(logits, begin + n < session_.context());
      if (token && n < tokens_.size() && *token == tokens_[n]) {
        lookup_.push(*token);
        n_right_ += 1;
        continue;
      }
      session_.rewind(begin + n);
      return token;
    }
  }

  /// Logits after every token of tokens_, (tokens, vocab_size).
  std::span<const float> evaluate() {
    const auto start = std::chrono::steady_clock::now();
    const std::span<const float> rows = session_.evaluate_rows(tokens_);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    lookup_.measured(tokens_.size(), seconds.count());
    n_guessed_ += tokens_.size() - 1;
    return rows;
  }

  Session& session_;
  Answer& answer_;
  const GenerateOptions& options_;
  engine::Lookup lookup_;
  std::vector<Token> tokens_;  // of a pass: one that is certain, and guesses
  std::size_t n_guessed_ = 0;
  std::size_t n_right_ = 0;
};

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

namespace {

/// generate(), where `text` is what penalties and guesses look back at, and `fresh`, its end, is still to be computed.
GenerateResult generate_text(Session& session, std::span<const Token> text, std::span<const Token> fresh,
                             const GenerateOptions& options, const std::function<void(std::string_view)>& on_text) {
  check_predicts(session.model());
  engine::check(options);
  Answer answer(session.model().tokenizer(), options, text, on_text);
  RunAhead ahead(session, answer, options);
  const std::span<const float> logits = session.evaluate(fresh, options.keep_going);
  if (logits.empty() || cancelled(options)) {
    answer.end(FinishReason::kCancelled);
  } else if (options.lookup) {
    ahead.run(text, logits);
  } else {
    run(session, answer, options, logits);
  }
  GenerateResult result = answer.finish();
  result.n_guessed = ahead.n_guessed();
  result.n_guessed_right = ahead.n_right();
  return result;
}

}  // namespace

void check_predicts(const Model& model) {
  if (!model.summary().embedding_only) return;
  fail(ErrorKind::kUnsupported, "{}: an embedding model: it has no output head to predict text with",
       model.summary().path.string());
}

GenerateResult generate(Session& session, std::span<const Token> prompt, const GenerateOptions& options,
                        const std::function<void(std::string_view)>& on_text) {
  return generate_text(session, prompt, prompt, options, on_text);
}

GenerateResult generate_after(Session& session, std::span<const Token> whole_text, const GenerateOptions& options,
                              const std::function<void(std::string_view)>& on_text) {
  const std::vector<Token> copy(whole_text.begin(), whole_text.end());  // it may be what the session holds
  const std::span<const Token> text = copy;
  const auto held = session.tokens();
  const auto n_common = static_cast<std::size_t>(std::ranges::mismatch(held, text).in1 - held.begin());
  // The logits after the last token are needed: it is always computed.
  const std::size_t n_kept = text.empty() ? 0 : std::min(n_common, text.size() - 1);
  session.rewind(n_kept);
  GenerateResult result = generate_text(session, text, text.subspan(n_kept), options, on_text);
  result.n_reused = n_kept;
  return result;
}

}  // namespace tern
