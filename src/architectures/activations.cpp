#include "src/architectures/architecture.h"

namespace tern::architectures {
namespace {

/// Floats of one token in all buffers together.
std::size_t floats_per_token(const Config& c) {
  const std::size_t q_dim = c.n_heads * c.head_dim;
  const std::size_t kv_dim = c.n_kv_heads * c.head_dim;
  return 3 * c.dim + 2 * q_dim + 2 * kv_dim + 2 * c.ffn_dim;
}

}  // namespace

Activations::Activations(const Config& config, std::size_t max_tokens)
    : config_(config), max_tokens_(max_tokens), memory_(floats_per_token(config) * max_tokens) {}

Activations::Views Activations::views(std::size_t n_tokens) {
  TERN_DCHECK(n_tokens <= max_tokens_);
  float* next = memory_.data();
  const auto take = [&](std::size_t cols) {
    const nn::MatrixView view{next, n_tokens, cols};
    next += max_tokens_ * cols;
    return view;
  };
  const Config& c = config_;
  const std::size_t q_dim = c.n_heads * c.head_dim;
  const std::size_t kv_dim = c.n_kv_heads * c.head_dim;
  // Braces: the members are taken in this order.
  return Views{.x = take(c.dim),
               .normed = take(c.dim),
               .q = take(q_dim),
               .k = take(kv_dim),
               .v = take(kv_dim),
               .attn_out = take(q_dim),
               .gate = take(c.ffn_dim),
               .up = take(c.ffn_dim),
               .branch = take(c.dim)};
}

}  // namespace tern::architectures
