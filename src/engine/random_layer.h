#pragma once

#include <cstddef>
#include <cstdint>

#include "src/base/huge_buffer.h"
#include "src/nn/linear.h"

namespace tern::engine {

/// Ternary layers made of random bytes, for measuring: the time of a product does not depend on the weights.
class RandomLayers {
 public:
  /// Makes room for the packed weights of all layers to come; layers made before are of no use any more.
  /// Errors    Error(kInvalidArgument): not enough memory
  void reserve(std::size_t bytes);

  /// The next (rows, cols) of the memory that was reserved.
  [[nodiscard]] nn::Linear make(const kernels::TernaryLayout& layout, std::size_t rows, std::size_t cols);

  /// Packed bytes of the layers made since the last reserve().
  [[nodiscard]] std::span<const std::uint8_t> used() noexcept { return memory_.span().first(used_); }

 private:
  HugeBuffer memory_;
  std::size_t used_ = 0;
};

}  // namespace tern::engine
