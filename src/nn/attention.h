#pragma once

#include <cstddef>
#include <span>

#include "src/nn/compute.h"
#include "src/nn/kv_cache.h"
#include "src/nn/matrix_view.h"

namespace tern::nn {

/// One layer's attention.
struct AttentionLayer {
  std::size_t index;       // of its keys and values in the caches
  float scale;             // of q . k
  std::size_t window = 0;  // positions that a token sees, its own the last; 0: all up to its own
};

/// Causal grouped-query attention of a batch over the caches of its texts, in which the tokens' own keys and values are
/// stored.
///
///   out[t][h] = softmax(scale * q[t][h] . K[0..p]) V[0..p],  p = places[t].position, K and V of head h * n_kv /
///   n_heads; with a window, positions before p - window + 1 are left out
///
/// Positions are taken in chunks of kernels::kAttentionChunk, counted from the beginning of the text, and the softmax
/// of the chunks is merged in their order. Consecutive tokens of a text, and the heads that share keys and values, read
/// them together.
///
/// Shapes    places: (n_tokens); q, out: (n_tokens, n_heads * head_dim); out may not be q
/// Exact     a token's result does not depend on the batch it came in, nor on the number of threads
/// Source    Ainslie et al. 2023, arXiv:2305.13245; merging: Dao et al. 2022, arXiv:2205.14135, section 3.1; windows:
///           Beltagy et al. 2020, arXiv:2004.05150, section 3.1
void attention(const Compute& compute, std::span<const TokenPlace> places, const AttentionLayer& layer, MatrixView q,
               MatrixView out);

}  // namespace tern::nn
