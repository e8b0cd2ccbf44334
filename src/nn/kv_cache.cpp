#include "src/nn/kv_cache.h"

#include <cstring>
#include <new>

#include "src/base/check.h"
#include "src/base/checked_math.h"

namespace tern::nn {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 45;  // a quarter of what x86-64 lets a process address

/// Bytes of all keys; nothing when it does not fit in 64 bits.
std::optional<std::uint64_t> cache_bytes(const KvShape& shape, std::size_t element_bytes) {
  std::optional<std::uint64_t> bytes = element_bytes;
  for (const std::size_t count : {shape.n_layers, shape.n_kv_heads, shape.n_positions, shape.head_dim}) {
    if (bytes) bytes = checked_mul(*bytes, count);
  }
  return bytes;
}

}  // namespace

KvCache::KvCache(KvShape shape, KvType type) : shape_(shape), type_(type) {
  const std::optional<std::uint64_t> bytes = cache_bytes(shape, element_bytes());
  try {
    if (!bytes || *bytes > kMaxBytes) throw std::bad_alloc();
    keys_ = AlignedBuffer<std::byte>(*bytes);
    values_ = AlignedBuffer<std::byte>(*bytes);
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::kInvalidArgument, "a context of {} tokens needs more memory than there is", shape.n_positions);
  }
}

void KvCache::store_row(const kernels::FloatKernels& floats, const float* row, std::byte* to) const {
  if (type_ == KvType::kF16) {
    floats.f32_to_f16(row, shape_.head_dim, reinterpret_cast<std::uint16_t*>(to));
  } else {
    std::memcpy(to, row, shape_.head_dim * sizeof(float));
  }
}

void KvCache::store(const Compute& compute, std::size_t layer, std::size_t first_position, MatrixView keys,
                    MatrixView values) {
  TERN_DCHECK(first_position + keys.rows <= shape_.n_positions);
  compute.for_each_token(keys.rows, [&](std::size_t t) {
    for (std::size_t head = 0; head < shape_.n_kv_heads; ++head) {
      const std::size_t to = offset(layer, head, first_position + t);
      store_row(compute.floats, keys.row(t) + head * shape_.head_dim, keys_.data() + to);
      store_row(compute.floats, values.row(t) + head * shape_.head_dim, values_.data() + to);
    }
  });
}

std::uint64_t KvCache::bytes_read(std::size_t n_positions) const noexcept {
  return std::uint64_t{2} * shape_.n_layers * shape_.n_kv_heads * shape_.head_dim * element_bytes() * n_positions;
}

}  // namespace tern::nn
