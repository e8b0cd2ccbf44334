#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "src/text/flat_map.h"
#include "src/text/vocabulary.h"
#include "tern/tokenizer.h"

namespace tern::text {

/// Finds tokens that are written out in a text: control tokens and those that users added to a vocabulary.
///
/// Cost      partition() looks at up to kMaxTokenBytes bytes from every position where a special token may begin
class SpecialMatcher {
 public:
  static constexpr std::size_t kMaxTokenBytes = 256;

  /// A part of the text: ordinary text, or one token when `token` is set.
  struct Part {
    std::string_view text;
    SymbolId token = kNoSymbol;
  };

  SpecialMatcher() = default;
  explicit SpecialMatcher(const Vocabulary& vocabulary);

  /// Cuts `text` at its special tokens; longer ones go first, then those further left. The parts cover the text and
  /// none is empty. Control and unknown tokens are only seen with `parse_special`, and never where they overlap one of
  /// the `untrusted` ranges (ascending).
  [[nodiscard]] std::vector<Part> partition(std::string_view text, bool parse_special,
                                            std::span<const TextRange> untrusted = {}) const;

 private:
  struct Node {
    SymbolId user_defined = kNoSymbol;  // the token that ends here
    SymbolId control = kNoSymbol;
  };
  struct Match {
    std::size_t begin;
    std::size_t size;
    SymbolId token;
  };

  void add(std::string_view text, SymbolId token, TokenType type);
  [[nodiscard]] std::vector<Match> find_all(std::string_view text, bool parse_special,
                                            std::span<const TextRange> untrusted) const;

  std::array<bool, 256> can_begin_{};  // by first byte, since most positions of a text start no special token
  std::vector<Node> nodes_{1};         // a trie; nodes_[0] is its root
  FlatMap<std::uint32_t> children_;    // node << 8 | byte -> node
};

}  // namespace tern::text
