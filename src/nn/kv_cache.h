#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "src/base/aligned_buffer.h"
#include "src/base/huge_buffer.h"
#include "tern/session.h"

namespace tern::nn {

struct KvShape {
  std::size_t n_layers = 0;
  std::size_t n_kv_heads = 0;
  std::size_t n_positions = 0;  // tokens that fit
  std::size_t head_dim = 0;
};

/// Keys and values of all layers, in the order in which attention reads them. Per layer and key-value head:
///
///   keys     (n_positions / 16, head_dim, 16)   element d of 16 positions side by side
///   values   (n_positions, value_dim)           value_dim = head_dim filled up to a multiple of 16 with zeros
///
/// and for kInt8, see kernels/attention.h:
///
///   keys     (n_positions / 16, key_dim / 2, 16, 2)   key_dim = head_dim filled up to a multiple of 2 with a zero
///   values   (n_positions / 2, value_dim, 2)
///   scales   (n_positions) each                       real value of one step of the position's codes
class KvCache {
 public:
  /// Errors    Error(kInvalidArgument) when the size can not be had, or heads are too long for kInt8
  KvCache(KvShape shape, KvType type);

  /// Stores what one token has to say to later ones.  key, value: (n_kv_heads * head_dim)
  /// Threads   several tokens may be stored at once
  void store(const kernels::FloatKernels& floats, std::size_t layer, std::size_t position, const float* key,
             const float* value);

  [[nodiscard]] const KvShape& shape() const noexcept { return shape_; }
  [[nodiscard]] KvType type() const noexcept { return type_; }
  /// `position` is a multiple of 16 for keys(), of 2 for values().
  [[nodiscard]] const std::uint8_t* keys(std::size_t layer, std::size_t kv_head, std::size_t position) const noexcept {
    return keys_.span().data() + (row(layer, kv_head) + position) * key_dim() * element_bytes();
  }
  [[nodiscard]] const std::uint8_t* values(std::size_t layer, std::size_t kv_head,
                                           std::size_t position) const noexcept {
    return values_.span().data() + (row(layer, kv_head) + position) * value_dim() * element_bytes();
  }
  /// (n_positions) on from `position`; null but for kInt8.
  [[nodiscard]] const float* key_scales(std::size_t layer, std::size_t kv_head, std::size_t position) const noexcept {
    return type_ == KvType::kInt8 ? key_scales_.data() + row(layer, kv_head) + position : nullptr;
  }
  [[nodiscard]] const float* value_scales(std::size_t layer, std::size_t kv_head, std::size_t position) const noexcept {
    return type_ == KvType::kInt8 ? value_scales_.data() + row(layer, kv_head) + position : nullptr;
  }
  /// Bytes of keys and values that attention over n_positions reads in all layers.
  [[nodiscard]] std::uint64_t bytes_read(std::size_t n_positions) const noexcept;

 private:
  [[nodiscard]] std::size_t element_bytes() const noexcept {
    return type_ == KvType::kF32 ? 4 : type_ == KvType::kF16 ? 2 : 1;
  }
  [[nodiscard]] std::size_t key_dim() const noexcept {
    return type_ == KvType::kInt8 ? kernels::i8_key_dim(shape_.head_dim) : shape_.head_dim;
  }
  [[nodiscard]] std::size_t value_dim() const noexcept { return kernels::value_dim(shape_.head_dim); }
  /// Rows of keys or values before those of (layer, kv_head).
  [[nodiscard]] std::size_t row(std::size_t layer, std::size_t kv_head) const noexcept {
    return (layer * shape_.n_kv_heads + kv_head) * capacity_;
  }
  void store_floats(const kernels::FloatKernels& floats, std::size_t at, const float* key, const float* value);
  void store_codes(const kernels::FloatKernels& floats, std::size_t at, const float* key, const float* value);

  KvShape shape_;
  KvType type_;
  std::size_t capacity_;  // positions, in whole blocks of 16
  HugeBuffer keys_;
  HugeBuffer values_;
  AlignedBuffer<float> key_scales_;    // (n_layers, n_kv_heads, capacity_)
  AlignedBuffer<float> value_scales_;  // (n_layers, n_kv_heads, capacity_)
};

/// Where a token of a batch stands: at a position of one text, whose earlier keys and values are in `kv`.
struct TokenPlace {
  KvCache* kv;
  std::size_t position;
};

}  // namespace tern::nn
