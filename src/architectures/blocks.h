#pragma once

#include <optional>
#include <span>
#include <string>

#include "src/architectures/architecture.h"
#include "src/nn/feed_forward.h"

/// What the architectures have in common, as data and as named steps.
namespace tern::architectures {

/// Query, key, value and output projections of one layer.
struct AttentionWeights {
  const nn::Linear* q;       // (n_heads * head_dim, dim)
  const nn::Linear* k;       // (n_kv_heads * head_dim, dim)
  const nn::Linear* v;       // (n_kv_heads * head_dim, dim)
  const nn::Linear* output;  // (dim, n_heads * head_dim)
};

/// Gated feed-forward layer.
struct FeedForwardWeights {
  const nn::Linear* gate;  // (ffn_dim, dim)
  const nn::Linear* up;    // (ffn_dim, dim)
  const nn::Linear* down;  // (dim, ffn_dim)
};

/// `prefix` is "blk.N.".
[[nodiscard]] AttentionWeights load_attention(nn::WeightStore& weights, const std::string& prefix, const Config& c);
[[nodiscard]] FeedForwardWeights load_feed_forward(nn::WeightStore& weights, const std::string& prefix,
                                                   const Config& c);
[[nodiscard]] OuterWeights load_outer(nn::WeightStore& weights, const format::Gguf& gguf, const Config& c);

/// act.x = rows of the embedding
void embed(Pass& pass, const nn::Linear& embedding);

/// act.q, act.k, act.v = projections of act.normed
void project_qkv(Pass& pass, const AttentionWeights& attn);

/// Rotates act.q and act.k, stores act.k and act.v in the tokens' caches, and lets act.q attend to them: act.attn_out.
void attend(Pass& pass, const Config& c, std::size_t layer);

/// act.up = activation(gate(act.normed)) * up(act.normed)
void gated_up(Pass& pass, const FeedForwardWeights& ffn, nn::Activation activation);

/// act.x += linear(input)
void add_projection(Pass& pass, const nn::Linear& linear, nn::MatrixView input);

}  // namespace tern::architectures
