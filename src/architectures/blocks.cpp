#include "src/architectures/blocks.h"

#include "src/nn/attention.h"
#include "src/nn/norm.h"

namespace tern::architectures {

namespace {

ProjectionWeights load_projection(nn::WeightStore& weights, const std::string& name, std::size_t rows,
                                  std::size_t cols) {
  return {.linear = weights.linear(name, rows, cols), .norm_in = weights.optional_vector(name + "_norm_in", cols)};
}

/// A projection of act.normed and where it goes.
struct Branch {
  const ProjectionWeights& weights;
  nn::MatrixView y;  // (n_tokens, rows)
};

/// Projects act.normed: without norms of their own all branches share its quantization. act.branch is overwritten.
template <std::size_t n>
void project_normed(Pass& pass, float eps, const Branch (&branches)[n]) {
  nn::Projection projections[n];
  bool share = true;
  for (std::size_t i = 0; i < n; ++i) {
    projections[i] = {branches[i].weights.linear, branches[i].y};
    share = share && branches[i].weights.norm_in.empty();
  }
  if (share) return nn::project(pass.compute, pass.act.normed, projections);
  for (std::size_t i = 0; i < n; ++i) {
    nn::MatrixView input = pass.act.normed;
    if (!branches[i].weights.norm_in.empty()) {
      input = pass.act.branch;
      nn::rms_norm(pass.compute, pass.act.normed, branches[i].weights.norm_in, eps, input);
    }
    nn::project(pass.compute, input, {&projections[i], 1});
  }
}

}  // namespace

AttentionWeights load_attention(nn::WeightStore& weights, const std::string& prefix, const Config& c) {
  const std::size_t q_dim = c.n_heads * c.head_dim;
  const std::size_t kv_dim = c.n_kv_heads * c.head_dim;
  return {.q = load_projection(weights, prefix + "attn_q", q_dim, c.dim),
          .k = load_projection(weights, prefix + "attn_k", kv_dim, c.dim),
          .v = load_projection(weights, prefix + "attn_v", kv_dim, c.dim),
          .output = load_projection(weights, prefix + "attn_output", c.dim, q_dim)};
}

FeedForwardWeights load_feed_forward(nn::WeightStore& weights, const std::string& prefix, const Config& c) {
  return {.gate = load_projection(weights, prefix + "ffn_gate", c.ffn_dim, c.dim),
          .up = load_projection(weights, prefix + "ffn_up", c.ffn_dim, c.dim),
          .down = load_projection(weights, prefix + "ffn_down", c.dim, c.ffn_dim)};
}

OuterWeights load_outer(nn::WeightStore& weights, const format::Gguf& gguf, const Config& c) {
  OuterWeights outer{};
  outer.embedding = weights.embedding("token_embd", c.vocab_size, c.dim);
  outer.output_norm = weights.vector("output_norm", c.dim);
  const bool tied = gguf.find("output.weight") == nullptr;
  outer.head = tied ? outer.embedding : weights.embedding("output", c.vocab_size, c.dim);
  return outer;
}

void embed(Pass& pass, const Config& c, const nn::Linear& embedding) {
  pass.compute.for_each_token(pass.tokens.size(), [&](std::size_t t) {
    float* x = pass.act.x.row(t);
    embedding.dense.decode_row(static_cast<std::size_t>(pass.tokens[t]), x);
    if (c.embedding_scale != 1.0f) pass.compute.floats.scale(c.embedding_scale, c.dim, x);
  });
}

void project_qkv(Pass& pass, const Config& c, const AttentionWeights& attn) {
  project_normed(pass, c.norm_eps, {{attn.q, pass.act.q}, {attn.k, pass.act.k}, {attn.v, pass.act.v}});
}

void attend(Pass& pass, const Config& c, std::size_t layer) {
  const Activations::Views& act = pass.act;
  const kernels::FloatKernels& floats = pass.compute.floats;
  const bool local = c.has_local(layer);
  const nn::RopeTable& rope = local ? pass.local_rope : pass.rope;
  pass.compute.for_each_token(pass.tokens.size(), [&](std::size_t t) {
    const nn::TokenPlace& place = pass.places[t];
    nn::rope(floats, rope, place.position, c.head_dim, act.q.row_span(t));
    nn::rope(floats, rope, place.position, c.head_dim, act.k.row_span(t));
    place.kv->store(floats, layer, place.position, act.k.row(t), act.v.row(t));
  });
  const nn::AttentionLayer attention{.index = layer, .scale = c.attention_scale, .window = local ? c.window : 0};
  nn::attention(pass.compute, pass.places, attention, act.q, act.attn_out);
}

void gated_up(Pass& pass, const Config& c, const FeedForwardWeights& ffn, nn::Activation activation) {
  project_normed(pass, c.norm_eps, {{ffn.gate, pass.act.gate}, {ffn.up, pass.act.up}});
  nn::gate(pass.compute, activation, pass.act.gate, pass.act.up);
}

void project_branch(Pass& pass, const Config& c, const ProjectionWeights& projection, nn::MatrixView input) {
  if (!projection.norm_in.empty()) nn::rms_norm(pass.compute, input, projection.norm_in, c.norm_eps, input);
  const nn::Projection projections[] = {{projection.linear, pass.act.branch}};
  nn::project(pass.compute, input, projections);
}

void add_projection(Pass& pass, const Config& c, const ProjectionWeights& projection, nn::MatrixView input) {
  project_branch(pass, c, projection, input);
  nn::scale(pass.compute, c.residual_scale, pass.act.branch);
  nn::add(pass.compute, pass.act.branch, pass.act.x);
}

void finish(Pass& pass, const Config& c, const OuterWeights& outer) {
  nn::rms_norm(pass.compute, pass.act.x, outer.output_norm, c.norm_eps, pass.act.x);
  nn::scale(pass.compute, c.output_scale, pass.act.x);
}

}  // namespace tern::architectures
