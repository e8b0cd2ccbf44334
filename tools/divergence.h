#pragma once

#include <cstddef>
#include <span>

#include "tern/tokenizer.h"

namespace tern::tools {

/// The logits of tokens: rows that fill up the embedding are none.
[[nodiscard]] std::span<const float> of_tokens(const Tokenizer& tokenizer, std::span<const float> logits);

/// -ln softmax(logits)[token]
[[nodiscard]] double surprise(std::span<const float> logits, Token token);

/// KL(p || q) in nats, p and q given by their logits. Source: Kullback and Leibler 1951
[[nodiscard]] double divergence(std::span<const float> p_logits, std::span<const float> q_logits);

/// How far predictions q are from predictions p of the same tokens.
struct PredictionDistance {
  std::size_t tokens = 0;
  double nats = 0.0;  ///< sum over tokens of KL(p || q)
  double largest_nats = 0.0;
  double largest_logit = 0.0;  ///< largest difference of two logits
  std::size_t equal_best = 0;  ///< tokens whose most likely successor is the same
  bool finite = true;          ///< whether all of it could be computed

  /// Adds the prediction of one token; both: (vocab_size)
  void add(std::span<const float> p_logits, std::span<const float> q_logits);
  [[nodiscard]] double mean_nats() const { return nats / static_cast<double>(tokens); }
  [[nodiscard]] double equal_share() const { return static_cast<double>(equal_best) / static_cast<double>(tokens); }
};

}  // namespace tern::tools
