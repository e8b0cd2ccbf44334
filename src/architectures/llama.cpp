/// Llama with ternary layers (Llama3-8B-1.58, Falcon3-1.58bit, Falcon-E).
/// Source    Touvron et al. 2023, arXiv:2302.13971, section 2.2. GGUF stores the rows of q and k so that the pairs of
///           RoPE are neighbours.
#include "src/architectures/llama.h"

#include <fmt/core.h>

#include "src/architectures/blocks.h"
#include "src/architectures/builders.h"
#include "src/nn/norm.h"

namespace tern::architectures {
namespace {

struct Layer {
  std::span<const float> attn_norm;  // (dim)
  AttentionWeights attn;
  std::span<const float> ffn_norm;  // (dim)
  FeedForwardWeights ffn;
};

class Llama final : public Architecture {
 public:
  Llama(const Config& c, const format::Gguf& gguf, nn::WeightStore& weights)
      : Architecture(c, load_outer(weights, gguf, c)) {
    for (std::size_t i = 0; i < c.n_layers; ++i) {
      const std::string prefix = fmt::format("blk.{}.", i);
      layers_.push_back({.attn_norm = weights.vector(prefix + "attn_norm", c.dim),
                         .attn = load_attention(weights, prefix, c),
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

std::unique_ptr<Architecture> build_llama_graph(const Config& config, const format::Gguf& gguf,
                                                nn::WeightStore& weights) {
  return std::make_unique<Llama>(config, gguf, weights);
}

std::unique_ptr<Architecture> build_llama(const format::Gguf& gguf, nn::WeightStore& weights) {
  return build_llama_graph(read_config(gguf, "llama", {.pairing = nn::RopePairing::kNorm}, weights), gguf, weights);
}

}  // namespace tern::architectures
