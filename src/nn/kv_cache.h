#pragma once

#include <cstddef>
#include <cstdint>

#include "src/base/aligned_buffer.h"
#include "src/nn/compute.h"
#include "src/nn/matrix_view.h"
#include "tern/session.h"

namespace tern::nn {

struct KvShape {
  std::size_t n_layers = 0;
  std::size_t n_kv_heads = 0;
  std::size_t n_positions = 0;  // tokens that fit
  std::size_t head_dim = 0;
};

/// Keys and values of all layers. Per layer and key-value head the positions lie one after the other:
/// keys, values: (n_layers, n_kv_heads, n_positions, head_dim), f16 or f32.
class KvCache {
 public:
  /// Errors    Error(kInvalidArgument) when the size can not be had
  KvCache(KvShape shape, KvType type);

  /// Stores keys and values of tokens at first_position on.  keys, values: (n_tokens, n_kv_heads * head_dim)
  void store(const Compute& compute, std::size_t layer, std::size_t first_position, MatrixView keys, MatrixView values);

  [[nodiscard]] const KvShape& shape() const noexcept { return shape_; }
  [[nodiscard]] KvType type() const noexcept { return type_; }
  /// First element of (layer, kv_head): (n_positions, head_dim).
  [[nodiscard]] const std::byte* keys(std::size_t layer, std::size_t kv_head) const noexcept {
    return keys_.data() + offset(layer, kv_head, 0);
  }
  [[nodiscard]] const std::byte* values(std::size_t layer, std::size_t kv_head) const noexcept {
    return values_.data() + offset(layer, kv_head, 0);
  }
  /// Bytes of keys and values that attention over n_positions reads in all layers.
  [[nodiscard]] std::uint64_t bytes_read(std::size_t n_positions) const noexcept;

 private:
  [[nodiscard]] std::size_t element_bytes() const noexcept { return type_ == KvType::kF16 ? 2 : 4; }
  [[nodiscard]] std::size_t offset(std::size_t layer, std::size_t kv_head, std::size_t position) const noexcept {
    return ((layer * shape_.n_kv_heads + kv_head) * shape_.n_positions + position) * shape_.head_dim * element_bytes();
  }
  void store_row(const kernels::FloatKernels& floats, const float* row, std::byte* to) const;

  KvShape shape_;
  KvType type_;
  AlignedBuffer<std::byte> keys_;
  AlignedBuffer<std::byte> values_;
};

}  // namespace tern::nn
