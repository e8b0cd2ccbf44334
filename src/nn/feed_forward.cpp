#include "src/nn/feed_forward.h"

namespace tern::nn {

namespace {

auto multiplication(const kernels::FloatKernels& floats, Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      return floats.silu_mul;
    case Activation::kGelu:
      return floats.gelu_mul;
    case Activation::kRelu2:
      break;
  }
  return floats.relu2_mul;
}

}  // namespace

void gate(const Compute& compute, Activation activation, MatrixView gate, MatrixView up) {
  const auto multiply = multiplication(compute.floats, activation);
  compute.for_each_token(up.rows, [&](std::size_t t) { multiply(gate.row(t), up.row(t), up.cols, up.row(t)); });
}

}  // namespace tern::nn
