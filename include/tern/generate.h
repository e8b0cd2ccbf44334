#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tern/sampler.h"
#include "tern/session.h"

namespace tern {

struct GenerateOptions {
  /// Tokens to produce at most, the prompt not counted.
  std::size_t max_tokens = 256;
  SamplingOptions sampling = {};
  /// Generation ends when the text holds one of these, none empty; the stop text itself is not handed out.
  std::vector<std::string> stop = {};
  /// Keep going after a token that ends an answer.
  bool ignore_eos = false;
  /// Whether the answer goes on with the prompt's text; if not, a space that the tokenizer puts before a text's first
  /// word is dropped from it.
  bool continues_text = true;
  /// Guess tokens where the text repeats itself and verify several in one pass: the same text, sooner if they are
  /// right.
  bool lookup = false;
  /// Record how likely each token was, and so many of the likeliest alternatives.
  std::optional<std::size_t> logprobs = {};
  /// Asked before every token and between batches of the prompt; false ends the generation.
  std::function<bool()> keep_going = {};
};

enum class FinishReason {
  kStopToken,  ///< the model ended its answer
  kStopText,   ///< one of GenerateOptions::stop appeared
  kLength,     ///< max_tokens reached
  kContext,    ///< the session is full
  kCancelled,  ///< keep_going said no
};

[[nodiscard]] std::string_view to_string(FinishReason reason) noexcept;

/// Natural logarithms of probabilities that the model gave, before any sampling option.
struct TokenLogprob {
  Token token = 0;
  float logprob = 0.0f;
  std::vector<std::pair<Token, float>> top = {};  ///< the likeliest tokens, best first
};

struct GenerateResult {
  std::vector<Token> tokens;  ///< generated; those of a stop text are included, a stop token is not
  std::string text;           ///< everything handed to on_text
  FinishReason reason = FinishReason::kLength;
  std::vector<TokenLogprob> logprobs = {};  ///< of `tokens`, when asked for
  std::size_t n_guessed = 0;                ///< tokens computed ahead by GenerateOptions::lookup
  std::size_t n_guessed_right = 0;          ///< and how many of them came true
  std::size_t n_reused = 0;                 ///< tokens at the text's beginning that generate_after() found computed
};

/// Feeds prompt tokens to a session, then samples and feeds back until something ends it.
///
/// `on_text` receives whole UTF-8 sequences as soon as they are certain. The last token is not fed back: to go on after
/// it, begin the next prompt with it.
/// Errors    as Session::evaluate and Sampler::Sampler
/// Example
///   const auto model = tern::Model::open("model.gguf");
///   tern::Session session(model);
///   const auto prompt = model->tokenizer().encode("Once upon a time", {.add_special = true});
///   tern::generate(session, prompt, {.max_tokens = 32}, [](std::string_view text) { std::cout << text; });
GenerateResult generate(Session& session, std::span<const Token> prompt, const GenerateOptions& options,
                        const std::function<void(std::string_view)>& on_text = {});

/// As generate() in a new session, for a whole text: the beginning that the session holds already is not computed
/// again, and what it holds besides is forgotten. The same result as in a new session.
GenerateResult generate_after(Session& session, std::span<const Token> text, const GenerateOptions& options,
                              const std::function<void(std::string_view)>& on_text = {});

/// Whether a model can do this at all.
///
/// Errors    Error: kUnsupported (an embedding model: it has no output head)
void check_predicts(const Model& model);

}  // namespace tern
