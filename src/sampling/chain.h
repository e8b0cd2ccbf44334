#pragma once

#include <span>
#include <vector>

#include "src/sampling/random.h"
#include "src/sampling/sampler_table.h"

namespace tern::sampling {

/// The active steps of some options, followed by a draw.
class Chain {
 public:
  /// Errors    Error(kInvalidArgument): an option out of its range, named
  explicit Chain(const SamplingOptions& options);

  void accept(Token token) { history_.push(token); }
  /// logits: (vocab_size). Errors    Error(kInvalidArgument): no logits, a biased token outside the vocabulary
  [[nodiscard]] Token sample(std::span<const float> logits);

 private:
  /// Chooses a candidate with a chance in proportion to e^logit.
  [[nodiscard]] Token draw();

  SamplingOptions options_;
  std::vector<const SamplerStep*> steps_;
  History history_;
  Random random_;
  Candidates candidates_;
  std::vector<double> cumulative_;  // (candidates), kept to save the allocation
};

}  // namespace tern::sampling
