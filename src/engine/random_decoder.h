#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "src/architectures/blocks.h"
#include "src/engine/random_layer.h"
#include "tern/predict.h"

namespace tern::engine {

/// How much of a model is made up; the rest is like it.
struct DecoderSample {
  std::size_t n_layers;
  std::size_t head_rows;
};

/// Some layers of a decoder and some rows of its head, of a given shape, with random weights: their time is that of a
/// trained model's. Norms stand where the architecture of that name has them.
class RandomDecoder {
 public:
  /// Errors    Error(kInvalidArgument): not enough memory
  RandomDecoder(const ModelShape& shape, const DecoderSample& sample, const kernels::Choice& kernels);

  /// As Architecture::forward(), from a hidden state in pass.act.x.
  void forward(architectures::Pass& pass) const;
  /// head @ hidden states, into memory of its own.  hidden: (n_tokens, dim)
  void multiply_head(const nn::Compute& compute, nn::MatrixView hidden);

  [[nodiscard]] const architectures::Config& config() const noexcept { return config_; }
  /// Weights that one token reads, packed.
  [[nodiscard]] std::span<const std::uint8_t> layer_weights() noexcept { return memory_.used(); }
  [[nodiscard]] std::span<const std::uint8_t> head_weights() noexcept {
    return head_.ternary ? ternary_head_.used() : head_memory_.span();
  }

 private:
  struct Layer {
    architectures::AttentionWeights attn;
    architectures::FeedForwardWeights ffn;
  };
  architectures::ProjectionWeights add(const kernels::TernaryLayout& layout, std::size_t rows, std::size_t cols);

  architectures::Config config_;
  architectures::LayerForm form_;
  bool has_input_norms_;  // of every projection
  std::size_t scale_cols_;
  RandomLayers memory_;
  std::deque<nn::Linear> linears_;  // addresses stay
  std::vector<Layer> layers_;
  std::vector<float> ones_;    // of every norm
  RandomLayers ternary_head_;  // one of them holds the head
  HugeBuffer head_memory_;
  nn::Linear head_;
  std::vector<float> logits_;
};

}  // namespace tern::engine
