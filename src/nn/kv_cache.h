#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

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

/// Keys and values of all layers, in the order in which attention reads them, in pages of kPagePositions
/// positions that are made as a text grows. Texts that begin alike share pages. Per page, layer and key-value head:
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
  /// No pages yet.
  /// Errors    Error(kInvalidArgument) when the size cannot be had, or heads are too long for kInt8
  KvCache(KvShape shape, KvType type);

  /// Makes sure that positions [begin, end) can be stored: makes pages, and copies those that another text shares.
  /// Errors    Error(kInvalidArgument) when there is no memory for them
  void reserve(std::size_t begin, std::size_t end);

  /// Takes over the first n_positions of another text of the same shape and type: whole pages are shared, the rest of
  /// one is copied. Requires n_positions stored in `other`; forgets what was here.
  void share(const KvCache& other, std::size_t n_positions);

  /// Stores what one token has to say to later ones.  key, value: (n_kv_heads * head_dim)
  /// Requires  position reserved
  /// Threads   several tokens may be stored at once
  void store(const kernels::FloatKernels& floats, std::size_t layer, std::size_t position, const float* key,
             const float* value);

  /// Calls use(bytes) for everything that is stored of the first n_positions, in a fixed order: to write it to a file,
  /// or to fill it from one. Requires n_positions reserved.
  void for_each_run(std::size_t n_positions, const std::function<void(std::span<std::uint8_t> bytes)>& use);

  /// False when some codes of kInt8 or their scales are none that store() makes: the kernels rely on their ranges.
  /// Requires n_positions reserved.
  [[nodiscard]] bool codes_in_range(std::size_t n_positions) const;

  [[nodiscard]] const KvShape& shape() const noexcept { return shape_; }
  [[nodiscard]] KvType type() const noexcept { return type_; }
  /// `position` is a multiple of 16 for keys(), of 2 for values().
  [[nodiscard]] const std::uint8_t* keys(std::size_t layer, std::size_t kv_head, std::size_t position) const noexcept {
    return page(position).keys.span().data() + row(layer, kv_head, position) * key_dim() * element_bytes();
  }
  [[nodiscard]] const std::uint8_t* values(std::size_t layer, std::size_t kv_head,
                                           std::size_t position) const noexcept {
    return page(position).values.span().data() + row(layer, kv_head, position) * value_dim() * element_bytes();
  }
  /// (n_positions) on from `position`, in its page; null but for kInt8.
  [[nodiscard]] const float* key_scales(std::size_t layer, std::size_t kv_head, std::size_t position) const noexcept {
    return type_ == KvType::kInt8 ? page(position).key_scales.data() + row(layer, kv_head, position) : nullptr;
  }
  [[nodiscard]] const float* value_scales(std::size_t layer, std::size_t kv_head, std::size_t position) const noexcept {
    return type_ == KvType::kInt8 ? page(position).value_scales.data() + row(layer, kv_head, position) : nullptr;
  }
  /// Bytes of keys and values that attention over n_positions reads in all layers.
  [[nodiscard]] std::uint64_t bytes_read(std::size_t n_positions) const noexcept;

  [[nodiscard]] std::size_t n_pages() const noexcept { return pages_.size(); }
  /// What tells a page from all others, for who counts shared ones once.
  [[nodiscard]] const void* page_id(std::size_t index) const noexcept { return pages_[index].get(); }
  static constexpr std::size_t kPagePositions = kernels::kAttentionChunk;
  /// Bytes of one page.
  [[nodiscard]] std::uint64_t page_bytes() const noexcept;

 private:
  struct Page {
    HugeBuffer keys;
    HugeBuffer values;
    AlignedBuffer<float> key_scales;    // (n_layers, n_kv_heads, kPagePositions)
    AlignedBuffer<float> value_scales;  // (n_layers, n_kv_heads, kPagePositions)
  };

  [[nodiscard]] const Page& page(std::size_t position) const noexcept { return *pages_[position / kPagePositions]; }
  [[nodiscard]] std::size_t pages_for(std::size_t n_positions) const noexcept {
    return (n_positions + kPagePositions - 1) / kPagePositions;
  }
  [[nodiscard]] std::shared_ptr<Page> make_page() const;
  [[nodiscard]] std::shared_ptr<Page> copy_page(const Page& from) const;
  [[nodiscard]] std::size_t element_bytes() const noexcept {
    return type_ == KvType::kF32 ? 4 : type_ == KvType::kF16 ? 2 : 1;
  }
  [[nodiscard]] std::size_t key_dim() const noexcept {
    return type_ == KvType::kInt8 ? kernels::i8_key_dim(shape_.head_dim) : shape_.head_dim;
  }
  [[nodiscard]] std::size_t value_dim() const noexcept { return kernels::value_dim(shape_.head_dim); }
  /// Rows of keys or values in the position's page before it.
  [[nodiscard]] std::size_t row(std::size_t layer, std::size_t kv_head, std::size_t position) const noexcept {
    return (layer * shape_.n_kv_heads + kv_head) * kPagePositions + position % kPagePositions;
  }
  [[nodiscard]] std::size_t page_rows() const noexcept { return shape_.n_layers * shape_.n_kv_heads * kPagePositions; }
  void store_floats(const kernels::FloatKernels& floats, Page& page, std::size_t at, const float* key,
                    const float* value);
  void store_codes(const kernels::FloatKernels& floats, Page& page, std::size_t at, const float* key,
                   const float* value);

  KvShape shape_;
  KvType type_;
  std::vector<std::shared_ptr<Page>> pages_;
};

/// Where a token of a batch stands: at a position of one text, whose earlier keys and values are in `kv`.
struct TokenPlace {
  KvCache* kv;
  std::size_t position;
};

}  // namespace tern::nn
