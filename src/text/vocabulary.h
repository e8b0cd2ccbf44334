#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tern::text {

/// tokenizer.ggml.token_type, with the file's own numbers.
enum class TokenType : std::uint8_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

/// A token (below Vocabulary::n_tokens()), or a piece of text that only occurs half-way through merging.
using SymbolId = std::uint32_t;
inline constexpr SymbolId kNoSymbol = ~SymbolId{0};

struct HashedText {
  std::string_view bytes;
  std::uint64_t hash = 0;
};

/// The bytes that every token stands for, and the way back from bytes to a token.
///
///   arena_    T h e | ' ' t h e | i n g | ...      all texts one after the other
///   ends_     3       7           10     ...       where each of them ends
///   slots_    hash and size of a text -> symbol    open addressing, at most 3/4 full
///
/// Owns everything: the file that it was read from may go away. Less than 4 GiB of text.
class Vocabulary {
 public:
  explicit Vocabulary(std::size_t expected_tokens = 0);

  /// Appends a token. Only those `in_text` are found by find(), after index_tokens(); of two with the same bytes the
  /// first is.
  void add_token(std::string_view bytes, TokenType type, bool in_text);
  /// Call once, after the last add_token().
  void index_tokens();

  /// Hashes a text and starts to load what find() or intern() will look at first, so that the waits for memory of
  /// several texts overlap.
  [[nodiscard]] HashedText prefetch(std::string_view bytes) const noexcept;
  /// kNoSymbol when there is none.
  [[nodiscard]] SymbolId find(const HashedText& text) const noexcept { return slots_[slot_of(text)].symbol; }
  [[nodiscard]] SymbolId find(std::string_view bytes) const noexcept;
  /// The symbol with these bytes; a new one, which is no token, when there is none.
  SymbolId intern(const HashedText& text);

  /// Requires symbol to be one of ours.
  [[nodiscard]] std::string_view bytes(SymbolId symbol) const noexcept {
    const std::size_t begin = symbol == 0 ? 0 : ends_[symbol - 1];
    return std::string_view(arena_).substr(begin, ends_[symbol] - begin);
  }
  [[nodiscard]] TokenType type(SymbolId token) const noexcept { return types_[token]; }
  [[nodiscard]] std::size_t n_tokens() const noexcept { return types_.size(); }
  /// Length in bytes of the longest text that find() can return.
  [[nodiscard]] std::size_t longest() const noexcept { return longest_; }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t size = 0;
    SymbolId symbol = kNoSymbol;
  };

  void append(std::string_view bytes);
  void index(const HashedText& text, SymbolId symbol);
  void grow();
  [[nodiscard]] std::size_t slot_of(const HashedText& text) const noexcept;

  std::string arena_;
  std::vector<std::uint32_t> ends_;
  std::vector<TokenType> types_;
  std::vector<Slot> slots_;
  std::vector<SymbolId> to_index_;  // until index_tokens()
  std::size_t n_indexed_ = 0;
  std::size_t longest_ = 0;
};

}  // namespace tern::text
