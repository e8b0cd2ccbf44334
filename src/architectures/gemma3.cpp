/// Gemma 3, its text half, with ternary layers (BitNet-embedding-270M): a decoder with norms before and after attention
/// and feed-forward, GEGLU, an embedding scaled by sqrt(dim), and layers of which most see a window of the text only,
/// with a RoPE of their own. GGUF stores the weights of its norms as 1 + w, ready to multiply.
/// Source    Gemma Team 2025, arXiv:2503.19786, section 2
#include <fmt/core.h>

#include <cmath>

#include "src/architectures/blocks.h"
#include "src/architectures/builders.h"
#include "src/nn/norm.h"

namespace tern::architectures {
namespace {

struct Layer {
  std::span<const float> attn_norm;  // (dim)
  AttentionWeights attn;
  std::span<const float> q_norm;          // (head_dim)
  std::span<const float> k_norm;          // (head_dim)
  std::span<const float> post_attn_norm;  // (dim)
  std::span<const float> ffn_norm;        // (dim)
  FeedForwardWeights ffn;
  std::span<const float> post_ffn_norm;  // (dim)
};

class Gemma3 final : public Architecture {
 public:
  Gemma3(const Config& c, const format::Gguf& gguf, nn::WeightStore& weights)
      : Architecture(c, load_outer(weights, gguf, c)) {
    for (std::size_t i = 0; i < c.n_layers; ++i) {
      const std::string prefix = fmt::format("blk.{}.", i);
      layers_.push_back({.attn_norm = weights.vector(prefix + "attn_norm", c.dim),
                         .attn = load_attention(weights, prefix, c),
                         .q_norm = weights.vector(prefix + "attn_q_norm", c.head_dim),
                         .k_norm = weights.vector(prefix + "attn_k_norm", c.head_dim),
                         .post_attn_norm = weights.vector(prefix + "post_attention_norm", c.dim),
                         .ffn_norm = weights.vector(prefix + "ffn_norm", c.dim),
                         .ffn = load_feed_forward(weights, prefix, c),
                         .post_ffn_norm = weights.vector(prefix + "post_ffw_norm", c.dim)});
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
      project_branch(pass, config_, layer.attn.output, act.attn_out);
      nn::rms_norm(pass.compute, act.branch, layer.post_attn_norm, eps, act.branch);
      nn::add(pass.compute, act.branch, act.x);

      nn::rms_norm(pass.compute, act.x, layer.ffn_norm, eps, act.normed);
      gated_up(pass, config_, layer.ffn, nn::Activation::kGelu);
      project_branch(pass, config_, layer.ffn.down, act.up);
      nn::rms_norm(pass.compute, act.branch, layer.post_ffn_norm, eps, act.branch);
      nn::add(pass.compute, act.branch, act.x);
    }
    finish(pass, config_, outer_);
  }

 private:
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Architecture> build_gemma3(const format::Gguf& gguf, nn::WeightStore& weights) {
  Config config = read_config(gguf, "gemma3", {.pairing = nn::RopePairing::kNeox, .windows = true}, weights);
  config.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(config.dim)));
  return std::make_unique<Gemma3>(config, gguf, weights);
}

}  // namespace tern::architectures
