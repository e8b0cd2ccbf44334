#include "src/nn/kv_cache.h"

#include <algorithm>
#include <cmath>
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

[[noreturn]] void fail_for_memory(std::size_t n_positions) {
  fail(ErrorKind::kInvalidArgument, "a context of {} tokens needs more memory than there is", n_positions);
}

}  // namespace

KvCache::KvCache(KvShape shape, KvType type) : shape_(shape), type_(type) {
  if (type == KvType::kInt8 && shape.head_dim > kernels::kAttentionMaxHeadDim) {
    fail(ErrorKind::kInvalidArgument, "heads of {} elements: expected at most {} for keys and values of 8 bits",
         shape.head_dim, kernels::kAttentionMaxHeadDim);
  }
  // A bound for everything below: no product after this line overflows.
  const std::optional<std::uint64_t> bytes = total_bytes(shape, value_dim() * sizeof(float));
  if (!bytes || *bytes > kMaxBytes) fail_for_memory(shape.n_positions);
}

std::uint64_t KvCache::page_bytes() const noexcept {
  const std::uint64_t scale_bytes = type_ == KvType::kInt8 ? 2 * sizeof(float) : 0;
  return page_rows() * ((key_dim() + value_dim()) * element_bytes() + scale_bytes);
}

std::shared_ptr<KvCache::Page> KvCache::make_page() const {
  auto page = std::make_shared<Page>();
  page->keys = HugeBuffer(page_rows() * key_dim() * element_bytes());
  page->values = HugeBuffer(page_rows() * value_dim() * element_bytes());
  if (type_ == KvType::kInt8) {
    page->key_scales = AlignedBuffer<float>(page_rows());
    page->value_scales = AlignedBuffer<float>(page_rows());
    std::ranges::fill(page->key_scales.span(), 0.0f);
    std::ranges::fill(page->value_scales.span(), 0.0f);
  }
  return page;
}

std::shared_ptr<KvCache::Page> KvCache::copy_page(const Page& from) const {
  auto page = make_page();
  std::ranges::copy(from.keys.span(), page->keys.span().begin());
  std::ranges::copy(from.values.span(), page->values.span().begin());
  std::ranges::copy(from.key_scales.span(), page->key_scales.span().begin());
  std::ranges::copy(from.value_scales.span(), page->value_scales.span().begin());
  return page;
}

void KvCache::reserve(std::size_t begin, std::size_t end) {
  TERN_DCHECK(begin <= end && end <= shape_.n_positions);
  try {
    while (pages_.size() < pages_for(end)) pages_.push_back(make_page());
    for (std::size_t i = begin / kPagePositions; i < pages_for(end); ++i) {
      if (pages_[i].use_count() > 1) pages_[i] = copy_page(*pages_[i]);
    }
  } catch (const std::exception&) {
    fail_for_memory(end);
  }
}

void KvCache::share(const KvCache& other, std::size_t n_positions) {
  TERN_DCHECK(other.type_ == type_);
  pages_.assign(other.pages_.begin(), other.pages_.begin() + static_cast<std::ptrdiff_t>(pages_for(n_positions)));
  // The last page is going to be written to, by this text or by the other one, unless it is full.
  const std::size_t full_pages = n_positions / kPagePositions;
  reserve(full_pages * kPagePositions, n_positions);
}

void KvCache::store_floats(const kernels::FloatKernels& floats, Page& page, std::size_t at, const float* key,
                           const float* value) {
  std::uint8_t* value_row = page.values.span().data() + at * value_dim() * element_bytes();
  std::uint8_t* key_block = page.keys.span().data() + (at - at % kLanes) * key_dim() * element_bytes();
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

void KvCache::store_codes(const kernels::FloatKernels& floats, Page& page, std::size_t at, const float* key,
                          const float* value) {
  std::int8_t codes[kernels::kAttentionMaxHeadDim + 1];
  page.key_scales.data()[at] = static_cast<float>(floats.quantize(key, shape_.head_dim, codes));
  codes[shape_.head_dim] = 0;  // fills up the last pair
  std::uint8_t* pairs = page.keys.span().data() + (at - at % kLanes) * key_dim() + at % kLanes * 2;
  for (std::size_t d = 0; d < shape_.head_dim; d += 2) std::memcpy(pairs + d * kLanes, codes + d, 2);
  page.value_scales.data()[at] = static_cast<float>(floats.quantize(value, shape_.head_dim, codes));
  std::uint8_t* values = page.values.span().data() + (at - at % 2) * value_dim() + at % 2;
  for (std::size_t d = 0; d < shape_.head_dim; ++d) values[2 * d] = static_cast<std::uint8_t>(codes[d]);
}

void KvCache::store(const kernels::FloatKernels& floats, std::size_t layer, std::size_t position, const float* key,
                    const float* value) {
  TERN_DCHECK(layer < shape_.n_layers && position / kPagePositions < pages_.size());
  Page& page = *pages_[position / kPagePositions];
  for (std::size_t head = 0; head < shape_.n_kv_heads; ++head) {
    const std::size_t at = row(layer, head, position);
    const float* head_key = key + head * shape_.head_dim;
    const float* head_value = value + head * shape_.head_dim;
    if (type_ == KvType::kInt8) {
      store_codes(floats, page, at, head_key, head_value);
    } else {
      store_floats(floats, page, at, head_key, head_value);
    }
  }
}

void KvCache::for_each_run(std::size_t n_positions, const std::function<void(std::span<std::uint8_t> bytes)>& use) {
  for (std::size_t begin = 0; begin < n_positions; begin += kPagePositions) {
    Page& page = *pages_[begin / kPagePositions];
    const std::size_t n = (std::min(n_positions - begin, kPagePositions) + kLanes - 1) / kLanes * kLanes;
    const auto use_rows = [&](auto memory, std::size_t first, std::size_t row_size) {
      const auto rows = memory.subspan(first * row_size, n * row_size);
      use({reinterpret_cast<std::uint8_t*>(rows.data()), rows.size_bytes()});
    };
    for (std::size_t first = 0; first < page_rows(); first += kPagePositions) {  // of a layer and head
      use_rows(page.keys.span(), first, key_dim() * element_bytes());
      use_rows(page.values.span(), first, value_dim() * element_bytes());
      if (type_ != KvType::kInt8) continue;
      use_rows(page.key_scales.span(), first, 1);
      use_rows(page.value_scales.span(), first, 1);
    }
  }
}

bool KvCache::codes_in_range(std::size_t n_positions) const {
  if (type_ != KvType::kInt8) return true;
  const auto is_code = [](std::uint8_t byte) { return static_cast<std::int8_t>(byte) >= -kernels::kAttentionMaxCode; };
  const auto is_scale = [](float scale) { return scale >= 0.0f && std::isfinite(scale); };
  return std::ranges::all_of(std::span(pages_).first(pages_for(n_positions)), [&](const std::shared_ptr<Page>& page) {
    return std::ranges::all_of(page->keys.span(), is_code) && std::ranges::all_of(page->values.span(), is_code) &&
           std::ranges::all_of(page->key_scales.span(), is_scale) &&
           std::ranges::all_of(page->value_scales.span(), is_scale);
  });
}

std::uint64_t KvCache::bytes_read(std::size_t n_positions) const noexcept {
  const std::size_t scale_bytes = type_ == KvType::kInt8 ? sizeof(float) : 0;
  const std::size_t row_bytes = shape_.head_dim * element_bytes() + scale_bytes;
  return std::uint64_t{2} * shape_.n_layers * shape_.n_kv_heads * row_bytes * n_positions;
}

}  // namespace tern::nn
