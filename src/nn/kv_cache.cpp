#include "src/nn/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>

#include "src/base/check.h"
#include "src/base/checked_math.h"

namespace tern::nn {
namespace {

using kernels::kLanes;

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 45;  // a quarter of what x86-64 lets a process address

/// n_layers * n_kv_heads * n_positions * row_bytes; nothing when it does not fit in 64 bits.
std::optional<std::uint64_t> total_bytes(const KvShape& shape, std::size_t row_bytes) {
  std::optional<std::uint64_t> bytes = row_bytes;
  for (const std::size_t count : {shape.n_layers, shape.n_kv_heads, shape.n_positions}) {
    if (bytes) bytes = checked_mul(*bytes, count);
  }
  return bytes;
}

/// Puts (head_dim) elements into every 16th place.
template <typename Element>
void spread(const std::uint8_t* key, std::size_t head_dim, std::uint8_t* to) {
  for (std::size_t d = 0; d < head_dim; ++d) {
    std::memcpy(to + d * kLanes * sizeof(Element), key + d * sizeof(Element), sizeof(Element));
  }
}

}  // namespace

KvCache::KvCache(KvShape shape, KvType type) : shape_(shape), type_(type) {
  if (type == KvType::kInt8 && shape.head_dim > kernels::kAttentionMaxHeadDim) {
    fail(ErrorKind::kInvalidArgument, "heads of {} elements: expected at most {} for keys and values of 8 bits",
         shape.head_dim, kernels::kAttentionMaxHeadDim);
  }
  try {
    // In the first place a bound for everything below: no product after this line overflows.
    const std::optional<std::uint64_t> bytes = total_bytes(shape, value_dim() * sizeof(float));
    if (!bytes || *bytes > kMaxBytes) throw std::bad_alloc();
    capacity_ = (shape.n_positions + kLanes - 1) / kLanes * kLanes;
    const std::size_t n_rows = row(shape.n_layers, 0);
    keys_ = HugeBuffer(n_rows * key_dim() * element_bytes());
    values_ = HugeBuffer(n_rows * value_dim() * element_bytes());
    if (type == KvType::kInt8) {
      key_scales_ = AlignedBuffer<float>(n_rows);
      value_scales_ = AlignedBuffer<float>(n_rows);
      std::ranges::fill(key_scales_.span(), 0.0f);
      std::ranges::fill(value_scales_.span(), 0.0f);
    }
  } catch (const std::exception&) {
    fail(ErrorKind::kInvalidArgument, "a context of {} tokens needs more memory than there is", shape.n_positions);
  }
}

void KvCache::store_floats(const kernels::FloatKernels& floats, std::size_t at, const float* key, const float* value) {
  std::uint8_t* value_row = values_.span().data() + at * value_dim() * element_bytes();
  std::uint8_t* key_block = keys_.span().data() + (at - at % kLanes) * key_dim() * element_bytes();
  std::uint8_t* key_column = key_block + at % kLanes * element_bytes();
  if (type_ == KvType::kF16) {
    auto* halves = reinterpret_cast<std::uint16_t*>(value_row);
    floats.f32_to_f16(key, shape_.head_dim, halves);  // the place of the values serves as scratch
    spread<std::uint16_t>(value_row, shape_.head_dim, key_column);
    floats.f32_to_f16(value, shape_.head_dim, halves);
  } else {
    spread<float>(reinterpret_cast<const std::uint8_t*>(key), shape_.head_dim, key_column);
    std::memcpy(value_row, value, shape_.head_dim * sizeof(float));
  }
}

void KvCache::store_codes(const kernels::FloatKernels& floats, std::size_t at, const float* key, const float* value) {
  std::int8_t codes[kernels::kAttentionMaxHeadDim + 1];
  key_scales_.data()[at] = static_cast<float>(floats.quantize(key, shape_.head_dim, codes));
  codes[shape_.head_dim] = 0;  // fills up the last pair
  std::uint8_t* pairs = keys_.span().data() + (at - at % kLanes) * key_dim() + at % kLanes * 2;
  for (std::size_t d = 0; d < shape_.head_dim; d += 2) std::memcpy(pairs + d * kLanes, codes + d, 2);
  value_scales_.data()[at] = static_cast<float>(floats.quantize(value, shape_.head_dim, codes));
  std::uint8_t* values = values_.span().data() + (at - at % 2) * value_dim() + at % 2;
  for (std::size_t d = 0; d < shape_.head_dim; ++d) values[2 * d] = static_cast<std::uint8_t>(codes[d]);
}

void KvCache::store(const kernels::FloatKernels& floats, std::size_t layer, std::size_t position, const float* key,
                    const float* value) {
  TERN_DCHECK(layer < shape_.n_layers && position < shape_.n_positions);
  for (std::size_t head = 0; head < shape_.n_kv_heads; ++head) {
    const std::size_t at = row(layer, head) + position;
    const float* head_key = key + head * shape_.head_dim;
    const float* head_value = value + head * shape_.head_dim;
    if (type_ == KvType::kInt8) {
      store_codes(floats, at, head_key, head_value);
    } else {
      store_floats(floats, at, head_key, head_value);
    }
  }
}

std::uint64_t KvCache::bytes_read(std::size_t n_positions) const noexcept {
  const std::size_t scale_bytes = type_ == KvType::kInt8 ? sizeof(float) : 0;
  const std::size_t row_bytes = shape_.head_dim * element_bytes() + scale_bytes;
  return std::uint64_t{2} * shape_.n_layers * shape_.n_kv_heads * row_bytes * n_positions;
}

}  // namespace tern::nn
