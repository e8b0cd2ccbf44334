#pragma once

#include <span>

#include "src/nn/compute.h"
#include "src/nn/matrix_view.h"

namespace tern::nn {

/// y[t] = x[t] / sqrt(mean(x[t]^2) + eps) * weight.  x, y: (n_tokens, dim), y may be x; weight: (dim)
/// Source    Zhang and Sennrich 2019, arXiv:1910.07467
void rms_norm(const Compute& compute, MatrixView x, std::span<const float> weight, float eps, MatrixView y);

/// The same for every head on its own.  x: (n_tokens, n_heads * head_dim), in place; weight: (head_dim)
void rms_norm_heads(const Compute& compute, MatrixView x, std::span<const float> weight, float eps);

/// y += x, the residual connection.  (n_tokens, dim)
void add(const Compute& compute, MatrixView x, MatrixView y);

/// x *= factor.  (n_tokens, dim)
void scale(const Compute& compute, float factor, MatrixView x);

}  // namespace tern::nn
