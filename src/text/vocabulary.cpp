#include "src/text/vocabulary.h"

#include <algorithm>
#include <array>
#include <utility>

#include "src/text/flat_map.h"

namespace tern::text {
namespace {

constexpr std::size_t kTypicalTokenBytes = 8;
constexpr std::size_t kPrefetchDistance = 32;  // texts; covers the latency of memory

}  // namespace

Vocabulary::Vocabulary(std::size_t expected_tokens) : slots_(table_size(expected_tokens)) {
  arena_.reserve(expected_tokens * kTypicalTokenBytes);
  ends_.reserve(expected_tokens);
  types_.reserve(expected_tokens);
}

void Vocabulary::add_token(std::string_view bytes, TokenType type, bool in_text) {
  if (in_text && !bytes.empty()) to_index_.push_back(static_cast<SymbolId>(types_.size()));
  append(bytes);
  types_.push_back(type);
}

void Vocabulary::index_tokens() {
  const std::vector<SymbolId> symbols = std::exchange(to_index_, {});
  std::array<HashedText, kPrefetchDistance> ahead;
  for (std::size_t i = 0; i < symbols.size() + kPrefetchDistance; ++i) {
    HashedText& text = ahead[i % kPrefetchDistance];
    if (i >= kPrefetchDistance) index(text, symbols[i - kPrefetchDistance]);
    if (i < symbols.size()) text = prefetch(bytes(symbols[i]));
  }
}

HashedText Vocabulary::prefetch(std::string_view bytes) const noexcept {
  const std::uint64_t hash = hash_text(bytes);
  __builtin_prefetch(&slots_[(hash >> 32) & (slots_.size() - 1)]);
  return {bytes, hash};
}

SymbolId Vocabulary::find(std::string_view bytes) const noexcept {
  if (bytes.size() > longest_) return kNoSymbol;
  return find(HashedText{bytes, hash_text(bytes)});
}

SymbolId Vocabulary::intern(const HashedText& text) {
  const SymbolId known = find(text);
  if (known != kNoSymbol) return known;
  append(text.bytes);
  const auto symbol = static_cast<SymbolId>(ends_.size() - 1);
  index(text, symbol);
  return symbol;
}

void Vocabulary::append(std::string_view bytes) {
  arena_.append(bytes);
  ends_.push_back(static_cast<std::uint32_t>(arena_.size()));
}

void Vocabulary::index(const HashedText& text, SymbolId symbol) {
  if (table_size(n_indexed_ + 1) > slots_.size()) grow();
  Slot& slot = slots_[slot_of(text)];
  if (slot.symbol != kNoSymbol) return;  // the first of two equal texts stays
  slot = Slot{text.hash, static_cast<std::uint32_t>(text.bytes.size()), symbol};
  ++n_indexed_;
  longest_ = std::max(longest_, text.bytes.size());
}

void Vocabulary::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
  for (const Slot& slot : old) {
    if (slot.symbol != kNoSymbol) slots_[slot_of({bytes(slot.symbol), slot.hash})] = slot;
  }
}

/// The slot that has this text, or the free one where it belongs.
std::size_t Vocabulary::slot_of(const HashedText& text) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  // Most texts are short and need no look at the arena, which is what makes loading a large merge list fast.
  const auto is_here = [&](const Slot& slot) {
    return slot.hash == text.hash && slot.size == text.bytes.size() &&
           (slot.size <= kInjectiveHashBytes || bytes(slot.symbol) == text.bytes);
  };
  std::size_t i = (text.hash >> 32) & mask;
  while (slots_[i].symbol != kNoSymbol && !is_here(slots_[i])) i = (i + 1) & mask;
  return i;
}

}  // namespace tern::text
