#include "src/text/vocabulary.h"

#include <bit>
#include <cstring>
#include <utility>

#include "src/text/flat_map.h"

namespace tern::text {
namespace {

constexpr std::size_t kTypicalTokenBytes = 8;

template <typename Word>
std::uint64_t load(const char* bytes) noexcept {
  Word word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// Up to 8 bytes as one number; texts of the same length give different numbers.
std::uint64_t load_at_most_8(const char* bytes, std::size_t n) noexcept {
  if (n == 8) return load<std::uint64_t>(bytes);
  if (n >= 4) return load<std::uint32_t>(bytes) | load<std::uint32_t>(bytes + n - 4) << 32;
  if (n == 0) return 0;
  return load<std::uint8_t>(bytes) | load<std::uint8_t>(bytes + n / 2) << 8 | load<std::uint8_t>(bytes + n - 1) << 16;
}

std::uint64_t hash_text(std::string_view text) noexcept {
  std::uint64_t hash = text.size();
  while (text.size() > 8) {
    hash = mix_bits(hash ^ load<std::uint64_t>(text.data()));
    text.remove_prefix(8);
  }
  return mix_bits(hash ^ load_at_most_8(text.data(), text.size()));
}

}  // namespace

Vocabulary::Vocabulary(std::size_t expected_tokens) : slots_(std::bit_ceil(2 * expected_tokens + 2)) {
  arena_.reserve(expected_tokens * kTypicalTokenBytes);
  ends_.reserve(expected_tokens);
  types_.reserve(expected_tokens);
}

void Vocabulary::add_token(std::string_view bytes, TokenType type, bool in_text) {
  append(bytes);
  types_.push_back(type);
  if (in_text && !bytes.empty()) index_last();
}

SymbolId Vocabulary::intern(std::string_view bytes) {
  const SymbolId known = find(bytes);
  if (known != kNoSymbol) return known;
  append(bytes);
  index_last();
  return static_cast<SymbolId>(ends_.size() - 1);
}

SymbolId Vocabulary::find(std::string_view bytes) const noexcept {
  if (bytes.size() > longest_) return kNoSymbol;
  return slots_[slot_of(bytes, hash_text(bytes))].symbol;
}

void Vocabulary::append(std::string_view bytes) {
  arena_.append(bytes);
  ends_.push_back(static_cast<std::uint32_t>(arena_.size()));
}

void Vocabulary::index_last() {
  if (2 * (n_indexed_ + 1) > slots_.size()) grow();
  const auto symbol = static_cast<SymbolId>(ends_.size() - 1);
  const std::string_view text = bytes(symbol);
  const std::uint64_t hash = hash_text(text);
  Slot& slot = slots_[slot_of(text, hash)];
  if (slot.symbol != kNoSymbol) return;  // the first of two equal texts stays
  slot = Slot{static_cast<std::uint32_t>(hash), symbol};
  ++n_indexed_;
  longest_ = text.size() > longest_ ? text.size() : longest_;
}

void Vocabulary::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
  for (const Slot& slot : old) {
    if (slot.symbol == kNoSymbol) continue;
    const std::string_view text = bytes(slot.symbol);
    slots_[slot_of(text, hash_text(text))] = slot;
  }
}

/// The slot that has this text, or the free one where it belongs.
std::size_t Vocabulary::slot_of(std::string_view text, std::uint64_t hash) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = (hash >> 32) & mask;
  const auto tag = static_cast<std::uint32_t>(hash);
  while (slots_[i].symbol != kNoSymbol && (slots_[i].tag != tag || bytes(slots_[i].symbol) != text)) i = (i + 1) & mask;
  return i;
}

}  // namespace tern::text
