#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "src/text/vocabulary.h"

namespace tern::text {

/// A stretch of the text during merging; the stretches in use form a doubly linked list.
struct Symbol {
  SymbolId id;
  std::uint32_t begin;     // byte offset
  std::uint32_t size;      // bytes; 0 = swallowed by the symbol on its left
  std::uint32_t previous;  // position in the list of symbols
  std::uint32_t next;
};

inline constexpr std::uint32_t kNoNeighbour = ~std::uint32_t{0};

/// What two neighbours become. The lowest priority value is merged first.
struct Merge {
  std::uint32_t priority = 0;
  SymbolId id = kNoSymbol;  // kNoSymbol = these two do not merge
};

/// Merges neighbours, best pair first and leftmost among equals, until no pair merges. O(n log n).
///
/// `find_merge(left, right)` gives the Merge of two neighbouring Symbols; it depends only on their texts.
/// Entries of the heap are not removed when one of their symbols changes. They are recognised when they surface: the
/// bytes that a symbol and its neighbour cover together only ever grow, so they differ from the entry's.
class Merger {
 public:
  void clear() { symbols_.clear(); }
  /// Appends the next `size` bytes of the text as one symbol. Requires size > 0.
  void push(SymbolId id, std::uint32_t size) {
    const auto i = static_cast<std::uint32_t>(symbols_.size());
    const std::uint32_t begin = i == 0 ? 0 : symbols_.back().begin + symbols_.back().size;
    if (i > 0) symbols_.back().next = i;
    symbols_.push_back({id, begin, size, i == 0 ? kNoNeighbour : i - 1, kNoNeighbour});
  }

  template <typename FindMerge>
  void run(const FindMerge& find_merge) {
    heap_.clear();
    for (std::uint32_t i = 0; i + 1 < symbols_.size(); ++i) {
      if (const Candidate c = candidate(i, find_merge); c.id != kNoSymbol) heap_.push_back(c);
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      const Candidate best = heap_.back();
      heap_.pop_back();
      const auto left = static_cast<std::uint32_t>(best.order);
      if (!is_current(best, left)) continue;
      swallow_next(left, best.id);
      push_candidate(left, find_merge);
      if (symbols_[left].previous != kNoNeighbour) push_candidate(symbols_[left].previous, find_merge);
    }
  }

  /// Calls visit(symbol) for the symbols in use, in the text's order.
  template <typename Visit>
  void for_each(const Visit& visit) const {
    if (symbols_.empty()) return;
    for (std::uint32_t i = 0; i != kNoNeighbour; i = symbols_[i].next) visit(symbols_[i]);
  }

 private:
  struct Candidate {
    std::uint64_t order;  // priority << 32 | position of the left symbol
    std::uint32_t size;   // bytes of both symbols
    SymbolId id;
    bool operator>(const Candidate& other) const noexcept { return order > other.order; }
  };

  template <typename FindMerge>
  [[nodiscard]] Candidate candidate(std::uint32_t left, const FindMerge& find_merge) const {
    const Symbol& a = symbols_[left];
    const Symbol& b = symbols_[a.next];
    const Merge merge = find_merge(a, b);
    return {std::uint64_t{merge.priority} << 32 | left, a.size + b.size, merge.id};
  }

  template <typename FindMerge>
  void push_candidate(std::uint32_t left, const FindMerge& find_merge) {
    if (symbols_[left].next == kNoNeighbour) return;
    const Candidate c = candidate(left, find_merge);
    if (c.id == kNoSymbol) return;
    heap_.push_back(c);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }

  [[nodiscard]] bool is_current(const Candidate& c, std::uint32_t left) const noexcept {
    const Symbol& a = symbols_[left];
    return a.size != 0 && a.next != kNoNeighbour && a.size + symbols_[a.next].size == c.size;
  }

  void swallow_next(std::uint32_t left, SymbolId id) noexcept {
    Symbol& a = symbols_[left];
    Symbol& b = symbols_[a.next];
    a.id = id;
    a.size += b.size;
    a.next = b.next;
    b.size = 0;
    if (a.next != kNoNeighbour) symbols_[a.next].previous = left;
  }

  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
};

}  // namespace tern::text
