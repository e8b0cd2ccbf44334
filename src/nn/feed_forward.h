#pragma once

#include "src/nn/compute.h"
#include "src/nn/matrix_view.h"

namespace tern::nn {

/// How the gate of a gated feed-forward layer acts on its other half.
enum class Activation {
  kSilu,   ///< silu(gate) * up (SwiGLU; Shazeer 2020, arXiv:2002.05202)
  kGelu,   ///< gelu(gate) * up with the tanh approximation (GEGLU; the same)
  kRelu2,  ///< max(gate, 0)^2 * up (BitNet b1.58 2B4T, arXiv:2504.12285, section 2)
};

/// up = activation(gate) * up.  gate, up: (n_tokens, ffn_dim)
void gate(const Compute& compute, Activation activation, MatrixView gate, MatrixView up);

}  // namespace tern::nn
