#include "src/nn/feed_forward.h"

namespace tern::nn {

void gate(const Compute& compute, Activation activation, MatrixView gate, MatrixView up) {
  const auto multiply = activation == Activation::kSilu ? compute.floats.silu_mul : compute.floats.relu2_mul;
  compute.for_each_token(up.rows, [&](std::size_t t) { multiply(gate.row(t), up.row(t), up.cols, up.row(t)); });
}

}  // namespace tern::nn
