#include "src/engine/random_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "src/nn/norm.h"

namespace tern::engine {
namespace {

architectures::Config config_of(const ModelShape& shape, std::size_t n_layers) {
  architectures::Config c;
  c.n_layers = n_layers;
  c.dim = shape.dim;
  c.ffn_dim = shape.ffn_dim;
  c.n_heads = shape.n_heads;
  c.n_kv_heads = shape.n_kv_heads;
  c.head_dim = shape.head_dim;
  c.vocab_size = shape.vocab_size;
  c.context_length = shape.context_length;
  c.norm_eps = 1e-5f;
  c.attention_scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  c.rope.n_dims = shape.head_dim;
  return c;
}

std::size_t layer_bytes(const kernels::TernaryLayout& layout, const architectures::Config& c, std::size_t scale_cols) {
  const auto bytes = [&](std::size_t rows, std::size_t cols) { return packed_bytes(layout, {rows, cols, scale_cols}); };
  const std::size_t q_dim = c.n_heads * c.head_dim;
  const std::size_t kv_dim = c.n_kv_heads * c.head_dim;
  return bytes(q_dim, c.dim) + 2 * bytes(kv_dim, c.dim) + bytes(c.dim, q_dim) + 2 * bytes(c.ffn_dim, c.dim) +
         bytes(c.dim, c.ffn_dim);
}

}  // namespace

RandomDecoder::RandomDecoder(const ModelShape& shape, const DecoderSample& sample, const kernels::Choice& kernels)
    : config_(config_of(shape, sample.n_layers)),
      form_(architectures::layer_form(shape.architecture)),
      has_input_norms_(shape.head == HeadKind::kNone),
      scale_cols_(shape.scale_cols),
      ones_(std::max({shape.dim, shape.ffn_dim, shape.n_heads * shape.head_dim}), 1.0f) {
  const kernels::TernaryLayout& layout = kernels.layout();
  const std::size_t q_dim = shape.n_heads * shape.head_dim;
  const std::size_t kv_dim = shape.n_kv_heads * shape.head_dim;
  memory_.reserve(layer_bytes(layout, config_, scale_cols_) * sample.n_layers);
  for (std::size_t i = 0; i < sample.n_layers; ++i) {
    const architectures::AttentionWeights attn{.q = add(layout, q_dim, shape.dim),
                                               .k = add(layout, kv_dim, shape.dim),
                                               .v = add(layout, kv_dim, shape.dim),
                                               .output = add(layout, shape.dim, q_dim)};
    layers_.push_back({attn,
                       {.gate = add(layout, shape.ffn_dim, shape.dim),
                        .up = add(layout, shape.ffn_dim, shape.dim),
                        .down = add(layout, shape.dim, shape.ffn_dim)}});
  }
  if (sample.head_rows == 0) return;
  if (shape.ternary_head) {
    const LayerShape head{sample.head_rows, shape.dim, scale_cols_};
    ternary_head_.reserve(packed_bytes(layout, head));
    head_ = ternary_head_.make(layout, head);
    return;
  }
  head_memory_ = HugeBuffer(nn::head_bytes(sample.head_rows, shape.dim));
  std::memset(head_memory_.span().data(), 0x3c, head_memory_.span().size());  // as scales: 0.0115, no special float
  head_.rows = sample.head_rows;
  head_.cols = shape.dim;
  head_.int8 = nn::make_head(*kernels.head, sample.head_rows, shape.dim, head_memory_.span());
}

architectures::ProjectionWeights RandomDecoder::add(const kernels::TernaryLayout& layout, std::size_t rows,
                                                    std::size_t cols) {
  const std::span<const float> ones = ones_;
  return {.linear = &linears_.emplace_back(memory_.make(layout, {rows, cols, scale_cols_})),
          .norm_in = has_input_norms_ ? ones.first(cols) : std::span<const float>{}};
}

void RandomDecoder::forward(architectures::Pass& pass) const {
  architectures::Activations::Views& act = pass.act;
  const auto norm = [&](nn::MatrixView from, nn::MatrixView to) {
    nn::rms_norm(pass.compute, from, std::span(ones_).first(from.cols), config_.norm_eps, to);
  };
  const auto add_projection = [&](const architectures::ProjectionWeights& projection, nn::MatrixView input) {
    project_branch(pass, config_, projection, input);
    if (form_.post_norms) norm(act.branch, act.branch);
    nn::add(pass.compute, act.branch, act.x);
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    norm(act.x, act.normed);
    project_qkv(pass, config_, layers_[i].attn);
    if (form_.head_norms) {
      const std::span<const float> weight = std::span(ones_).first(config_.head_dim);
      nn::rms_norm_heads(pass.compute, act.q, weight, config_.norm_eps);
      nn::rms_norm_heads(pass.compute, act.k, weight, config_.norm_eps);
    }
    attend(pass, config_, i);
    if (form_.sub_norms) norm(act.attn_out, act.attn_out);
    add_projection(layers_[i].attn.output, act.attn_out);

    norm(act.x, act.normed);
    gated_up(pass, config_, layers_[i].ffn, form_.activation);
    if (form_.sub_norms) norm(act.up, act.up);
    add_projection(layers_[i].ffn.down, act.up);
  }
  norm(act.x, act.x);
}

void RandomDecoder::multiply_head(const nn::Compute& compute, nn::MatrixView hidden) {
  if (head_.rows == 0) return;
  logits_.resize(hidden.rows * head_.rows);
  const nn::Projection head[] = {{&head_, {logits_.data(), hidden.rows, head_.rows}}};
  nn::project(compute, hidden, head);
}

}  // namespace tern::engine
