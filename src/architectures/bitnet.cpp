/// BitNet b1.58 as published by 1bitLLM (architecture "bitnet"): a Llama-like decoder with SwiGLU, whose attention and
/// feed-forward outputs pass one more RMSNorm before their last projection.
/// Source    Ma et al. 2024, arXiv:2402.17764; the extra norms are SubLN, Wang et al. 2022, arXiv:2210.06423
#include "src/architectures/bitnet.h"

#include <fmt/core.h>

#include "src/architectures/blocks.h"
#include "src/architectures/builders.h"
#include "src/base/check.h"
#include "src/base/printable.h"
#include "src/nn/norm.h"

namespace tern::architectures {
namespace {

struct Layer {
  std::span<const float> attn_norm;  // (dim)
  AttentionWeights attn;
  std::span<const float> attn_sub_norm;  // (n_heads * head_dim)
  std::span<const float> ffn_norm;       // (dim)
  FeedForwardWeights ffn;
  std::span<const float> ffn_sub_norm;  // (ffn_dim)
};

class Bitnet final : public Architecture {
 public:
  Bitnet(const Config& c, nn::Activation activation, const format::Gguf& gguf, nn::WeightStore& weights)
      : Architecture(c, load_outer(weights, gguf, c)), activation_(activation) {
    for (std::size_t i = 0; i < c.n_layers; ++i) {
      const std::string prefix = fmt::format("blk.{}.", i);
      layers_.push_back({.attn_norm = weights.vector(prefix + "attn_norm", c.dim),
                         .attn = load_attention(weights, prefix, c),
                         .attn_sub_norm = weights.vector(prefix + "attn_sub_norm", c.n_heads * c.head_dim),
                         .ffn_norm = weights.vector(prefix + "ffn_norm", c.dim),
                         .ffn = load_feed_forward(weights, prefix, c),
                         .ffn_sub_norm = weights.vector(prefix + "ffn_sub_norm", c.ffn_dim)});
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
      nn::rms_norm(pass.compute, act.attn_out, layer.attn_sub_norm, eps, act.attn_out);
      add_projection(pass, config_, layer.attn.output, act.attn_out);

      nn::rms_norm(pass.compute, act.x, layer.ffn_norm, eps, act.normed);
      gated_up(pass, config_, layer.ffn, activation_);
      nn::rms_norm(pass.compute, act.up, layer.ffn_sub_norm, eps, act.up);
      add_projection(pass, config_, layer.ffn.down, act.up);
    }
    finish(pass, config_, outer_);
  }

 private:
  nn::Activation activation_;
  std::vector<Layer> layers_;
};

/// Newer converters name the activation; older files leave it to the architecture's name.
nn::Activation named_activation(const format::Metadata& metadata, std::string_view name, nn::Activation otherwise) {
  const std::string key = std::string(name) + ".hidden_act";
  const auto activation = metadata.string(key);
  if (!activation) return otherwise;
  if (*activation == "silu") return nn::Activation::kSilu;
  if (*activation == "relu2") return nn::Activation::kRelu2;
  fail(ErrorKind::kUnsupported, "{}: key {}: unknown activation \"{}\"; known: silu, relu2", metadata.source(), key,
       printable(*activation));
}

}  // namespace

std::unique_ptr<Architecture> build_bitnet_graph(const format::Gguf& gguf, nn::WeightStore& weights,
                                                 nn::Activation activation) {
  const std::string_view name = *gguf.metadata.string("general.architecture");
  const Config config = read_config(gguf, name, {.pairing = nn::RopePairing::kNeox}, weights);
  return std::make_unique<Bitnet>(config, named_activation(gguf.metadata, name, activation), gguf, weights);
}

std::unique_ptr<Architecture> build_bitnet(const format::Gguf& gguf, nn::WeightStore& weights) {
  return build_bitnet_graph(gguf, weights, nn::Activation::kSilu);
}

}  // namespace tern::architectures
