#pragma once

#include <cstddef>

#include "src/nn/compute.h"
#include "src/nn/kv_cache.h"
#include "src/nn/matrix_view.h"

namespace tern::nn {

/// Causal grouped-query attention over the cache of one layer, in which the tokens' own keys and values are stored.
///
///   out[t][h] = softmax(scale * q[t][h] . K[0..p]) V[0..p],  p = first_position + t, K and V of head h * n_kv /
///   n_heads
///
/// Shapes    q, out: (n_tokens, n_heads * head_dim); out may not be q
/// Exact     a token's result does not depend on the batch it came in, nor on the number of threads
/// Source    Ainslie et al. 2023, arXiv:2305.13245
void attention(const Compute& compute, const KvCache& cache, std::size_t layer, std::size_t first_position, float scale,
               MatrixView q, MatrixView out);

}  // namespace tern::nn
