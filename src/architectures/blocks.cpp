#include "src/architectures/blocks.h"

#include "src/nn/attention.h"
#include "src/nn/norm.h"

namespace tern::architectures {

AttentionWeights load_attention(nn::WeightStore& weights, const std::string& prefix, const Config& c) {
  const std::size_t q_dim = c.n_heads * c.head_dim;
  const std::size_t kv_dim = c.n_kv_heads * c.head_dim;
  return {.q = weights.linear(prefix + "attn_q", q_dim, c.dim),
          .k = weights.linear(prefix + "attn_k", kv_dim, c.dim),
          .v = weights.linear(prefix + "attn_v", kv_dim, c.dim),
          .output = weights.linear(prefix + "attn_output", c.dim, q_dim)};
}

FeedForwardWeights load_feed_forward(nn::WeightStore& weights, const std::string& prefix, const Config& c) {
  return {.gate = weights.linear(prefix + "ffn_gate", c.ffn_dim, c.dim),
          .up = weights.linear(prefix + "ffn_up", c.ffn_dim, c.dim),
          .down = weights.linear(prefix + "ffn_down", c.dim, c.ffn_dim)};
}

OuterWeights load_outer(nn::WeightStore& weights, const format::Gguf& gguf, const Config& c) {
  OuterWeights outer{};
  outer.embedding = weights.embedding("token_embd", c.vocab_size, c.dim);
  outer.output_norm = weights.vector("output_norm", c.dim);
  const bool tied = gguf.find("output.weight") == nullptr;
  outer.head = tied ? outer.embedding : weights.embedding("output", c.vocab_size, c.dim);
  return outer;
}

void embed(Pass& pass, const nn::Linear& embedding) {
  pass.compute.for_each_token(pass.tokens.size(), [&](std::size_t t) {
    embedding.dense.decode_row(static_cast<std::size_t>(pass.tokens[t]), pass.act.x.row(t));
  });
}

void project_qkv(Pass& pass, const AttentionWeights& attn) {
  const nn::Projection projections[] = {{attn.q, pass.act.q}, {attn.k, pass.act.k}, {attn.v, pass.act.v}};
  nn::project(pass.compute, pass.act.normed, projections);
}

void attend(Pass& pass, const Config& c, std::size_t layer) {
  const Activations::Views& act = pass.act;
  const kernels::FloatKernels& floats = pass.compute.floats;
  pass.compute.for_each_token(pass.tokens.size(), [&](std::size_t t) {
    const nn::TokenPlace& place = pass.places[t];
    nn::rope(floats, pass.rope, place.position, c.head_dim, act.q.row_span(t));
    nn::rope(floats, pass.rope, place.position, c.head_dim, act.k.row_span(t));
    place.kv->store(floats, layer, place.position, act.k.row(t), act.v.row(t));
  });
  nn::attention(pass.compute, pass.places, layer, c.attention_scale, act.q, act.attn_out);
}

void gated_up(Pass& pass, const FeedForwardWeights& ffn, nn::Activation activation) {
  const nn::Projection projections[] = {{ffn.gate, pass.act.gate}, {ffn.up, pass.act.up}};
  nn::project(pass.compute, pass.act.normed, projections);
  nn::gate(pass.compute, activation, pass.act.gate, pass.act.up);
}

void add_projection(Pass& pass, const nn::Linear& linear, nn::MatrixView input) {
  const nn::Projection projections[] = {{&linear, pass.act.branch}};
  nn::project(pass.compute, input, projections);
  nn::add(pass.compute, pass.act.branch, pass.act.x);
}

}  // namespace tern::architectures
