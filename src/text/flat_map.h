#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/base/text_hash.h"

namespace tern::text {

/// Slots of a table for n entries: a power of two of which they fill at most 3/4.
[[nodiscard]] constexpr std::size_t table_size(std::size_t n) noexcept { return std::bit_ceil(n + n / 3 + 2); }

/// Hash map from 64-bit keys to small values, in one array: open addressing with linear probing, at most 3/4 full.
template <typename Value>
class FlatMap {
 public:
  explicit FlatMap(std::size_t expected = 0) : slots_(table_size(expected), Slot{kEmpty, Value{}}) {}

  /// False, and nothing changes, when the key is there already. Requires key != ~0.
  bool insert(std::uint64_t key, const Value& value) {
    if (table_size(size_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[slot_of(key)];
    if (slot.key == key) return false;
    slot = Slot{key, value};
    ++size_;
    return true;
  }

  /// Starts to load what insert() or find() will look at first.
  void prefetch(std::uint64_t key) const noexcept { __builtin_prefetch(&slots_[first_slot(key)]); }

  /// nullptr when the key is absent.
  [[nodiscard]] const Value* find(std::uint64_t key) const noexcept {
    const Slot& slot = slots_[slot_of(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

  struct Slot {
    std::uint64_t key;
    Value value;
  };

  [[nodiscard]] std::size_t first_slot(std::uint64_t key) const noexcept {
    return (mix_bits(key ^ seed_) >> 32) & (slots_.size() - 1);
  }

  /// The slot that has this key, or the free one where it belongs.
  [[nodiscard]] std::size_t slot_of(std::uint64_t key) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = first_slot(key);
    while (slots_[i].key != key && slots_[i].key != kEmpty) i = (i + 1) & mask;
    return i;
  }

  void grow() {
    const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(2 * slots_.size(), Slot{kEmpty, Value{}}));
    for (const Slot& slot : old) {
      if (slot.key != kEmpty) slots_[slot_of(slot.key)] = slot;
    }
  }

  std::uint64_t seed_ = hash_seed();
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace tern::text
