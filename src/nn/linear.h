#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/nn/compute.h"
#include "src/nn/dense.h"
#include "src/nn/head.h"
#include "src/nn/matrix_view.h"
#include "src/weights/ternary_matrix.h"

namespace tern::nn {

/// A linear layer y = W x (+ bias): W ternary, or floats when the file says so. (rows, cols) = (out, in)
struct Linear {
  std::string name;  // without ".weight"
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::optional<weights::TernaryMatrix> ternary;
  DenseMatrix dense;               // used when there is no ternary matrix
  std::optional<HeadMatrix> int8;  // of the output head: used for products instead of `dense`
  float scale = 1.0f;              // of the optional tensor NAME.scale
  std::vector<float> bias;         // (rows), or empty

  /// Bytes that one product reads.
  [[nodiscard]] std::uint64_t bytes() const noexcept;
};

/// One layer and where its result goes. y: (n_tokens, rows)
struct Projection {
  const Linear* linear;
  MatrixView y;
};

/// Applies layers that share an input, such as query, key and value, in one parallel step.
///
///   ternary:  y[t][r] = w_scale * step[t] * sum over c of W[r][c] * q[t][c],  x[t][c] ~ q[t][c] * step[t]
///   float:    y[t][r] = sum over c of W[r][c] * x[t][c]
///   int8:     see kernels/head.h
///
/// The input of a ternary layer is quantized to int8 per token, or per token and block of columns when the weights
/// have a scale per block.
///
/// Shapes    x: (n_tokens, cols), cols the same for all layers
/// Exact     independent of the number of threads and of how tokens are batched
/// Source    activation quantization: BitNet b1.58, arXiv:2402.17764, section 2
void project(const Compute& compute, MatrixView x, std::span<const Projection> projections);

}  // namespace tern::nn
