/// Qwen3 with ternary layers (Ternary-Bonsai, BitNet-embedding-0.6B): a Llama-like decoder that normalises every query
/// and key head before rotating it. n_heads * head_dim need not equal dim.
/// Source    Yang et al. 2025, arXiv:2505.09388, section 2
#include <fmt/core.h>

#include "src/architectures/blocks.h"
#include "src/architectures/builders.h"
#include "src/nn/norm.h"

namespace tern::architectures {
namespace {

struct Layer {
  std::span<const float> attn_norm;  // (dim)
  AttentionWeights attn;
  std::span<const float> q_norm;    // (head_dim)
  std::span<const float> k_norm;    // (head_dim)
  std::span<const float> ffn_norm;  // (dim)
  FeedForwardWeights ffn;
};

class Qwen3 final : public Architecture {
 public:
  Qwen3(const Config& c, const format::Gguf& gguf, nn::WeightStore& weights)
      : Architecture(c, load_outer(weights, gguf, c)) {
    for (std::size_t i = 0; i < c.n_layers; ++i) {
      const std::string prefix = fmt::format("blk.{}.", i);
      layers_.push_back({.attn_norm = weights.vector(prefix + "attn_norm", c.dim),
                         .attn = load_attention(weights, prefix, c),
                         .q_norm = weights.vector(prefix + "attn_q_norm", c.head_dim),
                         .k_norm = weights.vector(prefix + "attn_k_norm", c.head_dim),
                         .ffn_norm = weights.vector(prefix + "ffn_norm", c.dim),
                         .ffn = load_feed_forward(weights, prefix, c)});
    }
  }

  void forward(Pass& pass) const override {
    Activations::Views& act = pass.act;
    const float eps = config_.norm_eps;
    embed(pass, config_, *outer_.embedding);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const Layer& layer = layers_[i];
      nn::rms_norm(pass.compute, act.x, layer.attn_norm, eps, act.normed);
      project_qkv(pass, config_, layer.attn);
      nn::rms_norm_heads(pass.compute, act.q, layer.q_norm, eps);
      nn::rms_norm_heads(pass.compute, act.k, layer.k_norm, eps);
      attend(pass, config_, i);
      add_projection(pass, config_, layer.attn.output, act.attn_out);

      nn::rms_norm(pass.compute, act.x, layer.ffn_norm, eps, act.normed);
      gated_up(pass, config_, layer.ffn, nn::Activation::kSilu);
      add_projection(pass, config_, layer.ffn.down, act.up);
    }
    finish(pass, config_, outer_);
  }

 private:
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Architecture> build_qwen3(const format::Gguf& gguf, nn::WeightStore& weights) {
  return std::make_unique<Qwen3>(read_config(gguf, "qwen3", {.pairing = nn::RopePairing::kNeox}, weights), gguf,
                                 weights);
}

}  // namespace tern::architectures
