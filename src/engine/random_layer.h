#pragma once

#include <cstddef>
#include <cstdint>

#include "src/base/huge_buffer.h"
#include "src/nn/linear.h"

namespace tern::engine {

/// The sizes of a ternary layer.
struct LayerShape {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t scale_cols = 0;  // columns that share a scale, a divisor of cols; 0: one scale for all
};

/// Bytes of its packed weights, without scales.
[[nodiscard]] std::size_t packed_bytes(const kernels::TernaryLayout& layout, const LayerShape& shape);

/// Ternary layers made of random bytes, for measuring: the time of a product does not depend on the weights.
class RandomLayers {
 public:
  /// Makes room for the packed weights of all layers to come; layers made before are of no use any more.
  /// Errors    Error(kInvalidArgument): not enough memory
  void reserve(std::size_t bytes);

  /// The next layer, in the memory that was reserved.
  [[nodiscard]] nn::Linear make(const kernels::TernaryLayout& layout, const LayerShape& shape);

  /// Packed bytes of the layers made since the last reserve().
  [[nodiscard]] std::span<const std::uint8_t> used() noexcept { return memory_.span().first(used_); }

 private:
  HugeBuffer memory_;
  std::size_t used_ = 0;
};

}  // namespace tern::engine
