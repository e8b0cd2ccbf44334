#pragma once

#include <optional>
#include <span>
#include <string>

#include "src/architectures/architecture.h"
#include "src/nn/feed_forward.h"

/// What the architectures have in common, as data and as named steps.
namespace tern::architectures {

/// A linear layer that may have an RMSNorm of its own on its input, which then is quantized for it alone.
struct ProjectionWeights {
  const nn::Linear* linear = nullptr;   // (rows, cols)
  std::span<const float> norm_in = {};  // (cols), or empty
};

/// Query, key, value and output projections of one layer.
struct AttentionWeights {
  ProjectionWeights q;       // (n_heads * head_dim, dim)
  ProjectionWeights k;       // (n_kv_heads * head_dim, dim)
  ProjectionWeights v;       // (n_kv_heads * head_dim, dim)
  ProjectionWeights output;  // (dim, n_heads * head_dim)
};

/// Gated feed-forward layer.
struct FeedForwardWeights {
  ProjectionWeights gate;  // (ffn_dim, dim)
  ProjectionWeights up;    // (ffn_dim, dim)
  ProjectionWeights down;  // (dim, ffn_dim)
};

/// `prefix` is "blk.N.".
[[nodiscard]] AttentionWeights load_attention(nn::WeightStore& weights, const std::string& prefix, const Config& c);
[[nodiscard]] FeedForwardWeights load_feed_forward(nn::WeightStore& weights, const std::string& prefix,
                                                   const Config& c);
[[nodiscard]] OuterWeights load_outer(nn::WeightStore& weights, const format::Gguf& gguf, const Config& c);

/// act.x = rows of the embedding, scaled
void embed(Pass& pass, const Config& c, const nn::Linear& embedding);

/// act.q, act.k, act.v = projections of act.normed
void project_qkv(Pass& pass, const Config& c, const AttentionWeights& attn);

/// Rotates act.q and act.k, stores act.k and act.v in the tokens' caches, and lets act.q attend to them: act.attn_out.
void attend(Pass& pass, const Config& c, std::size_t layer);

/// act.up = activation(gate(act.normed)) * up(act.normed)
void gated_up(Pass& pass, const Config& c, const FeedForwardWeights& ffn, nn::Activation activation);

/// act.branch = projection of input, which is normed in place if the projection asks for it
void project_branch(Pass& pass, const Config& c, const ProjectionWeights& projection, nn::MatrixView input);

/// act.x += residual_scale * projection of input, as project_branch()
void add_projection(Pass& pass, const Config& c, const ProjectionWeights& projection, nn::MatrixView input);

/// act.x = output_scale * norm(act.x)
void finish(Pass& pass, const Config& c, const OuterWeights& outer);

}  // namespace tern::architectures
