#pragma once

#include <cstddef>
#include <span>

#include "src/base/check.h"

namespace tern::nn {

/// Rows of floats that somebody else owns, one row per token: (rows, cols), dense.
struct MatrixView {
  float* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;

  [[nodiscard]] float* row(std::size_t r) const noexcept {
    TERN_DCHECK(r < rows);
    return data + r * cols;
  }
  [[nodiscard]] std::span<float> row_span(std::size_t r) const noexcept { return {row(r), cols}; }
  [[nodiscard]] std::span<float> span() const noexcept { return {data, rows * cols}; }
};

}  // namespace tern::nn
