#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "tern/tokenizer.h"

namespace tern {

/// How the next token is chosen. The steps run in the order of the fields.
struct SamplingOptions {
  /// Added to the logits of single tokens before anything else.
  std::vector<std::pair<Token, float>> logit_bias = {};
  /// Divides positive and multiplies negative logits of tokens seen in the last `penalty_window`; 1 = off.
  /// Keskar et al. 2019, arXiv:1909.05858 section 4.1.
  float repeat_penalty = 1.0f;
  /// Subtracted once for every time that a token was seen in the window; 0 = off.
  float frequency_penalty = 0.0f;
  /// Subtracted once if a token was seen in the window; 0 = off.
  float presence_penalty = 0.0f;
  /// Tokens looked back at; the prompt counts.
  std::size_t penalty_window = 64;
  /// Divides the logits; 0 = greedy (the largest logit, the lowest id on ties).
  float temperature = 0.0f;
  /// Keep the k most likely tokens; 0 = all.
  std::size_t top_k = 0;
  /// Keep the smallest set whose probability reaches this; 1 = all. Holtzman et al. 2020, arXiv:1904.09751.
  float top_p = 1.0f;
  /// Keep tokens at least this share as likely as the most likely; 0 = all. Nguyen et al. 2024, arXiv:2407.01082.
  float min_p = 0.0f;
  std::uint64_t seed = 0;
};

namespace sampling {
class Chain;
}

/// Draws tokens from logits. The draws depend on the options and on the logits alone.
///
/// Threads   one caller at a time
class Sampler {
 public:
  /// Errors    Error: kInvalidArgument (a value out of its range, named)
  explicit Sampler(const SamplingOptions& options);
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;

  /// Tells the sampler a token that is part of the text (prompt or generated).
  void accept(Token token);
  /// Chooses the next token from logits (vocab_size); NaN counts as minus infinity. Does not accept() it.
  [[nodiscard]] Token sample(std::span<const float> logits);

 private:
  std::unique_ptr<sampling::Chain> chain_;
};

}  // namespace tern
