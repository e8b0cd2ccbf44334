#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
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

struct GenerateResult {
  std::vector<Token> tokens;  ///< generated; those of a stop text are included, a stop token is not
  std::string text;           ///< everything handed to on_text
  FinishReason reason = FinishReason::kLength;
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

}  // namespace tern
