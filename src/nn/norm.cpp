#include "src/nn/norm.h"

namespace tern::nn {

void rms_norm(const Compute& compute, MatrixView x, std::span<const float> weight, float eps, MatrixView y) {
  TERN_DCHECK(weight.size() == x.cols && x.rows == y.rows && x.cols == y.cols);
  compute.for_each_token(
      x.rows, [&](std::size_t t) { compute.floats.rms_norm(x.row(t), weight.data(), x.cols, eps, y.row(t)); });
}

void rms_norm_heads(const Compute& compute, MatrixView x, std::span<const float> weight, float eps) {
  const std::size_t head_dim = weight.size();
  compute.for_each_token(x.rows, [&](std::size_t t) {
    for (std::size_t begin = 0; begin < x.cols; begin += head_dim) {
      float* head = x.row(t) + begin;
      compute.floats.rms_norm(head, weight.data(), head_dim, eps, head);
    }
  });
}

void add(const Compute& compute, MatrixView x, MatrixView y) {
  compute.for_each_token(x.rows, [&](std::size_t t) { compute.floats.add(x.row(t), x.cols, y.row(t)); });
}

void scale(const Compute& compute, float factor, MatrixView x) {
  if (factor == 1.0f) return;
  compute.for_each_token(x.rows, [&](std::size_t t) { compute.floats.scale(factor, x.cols, x.row(t)); });
}

}  // namespace tern::nn
