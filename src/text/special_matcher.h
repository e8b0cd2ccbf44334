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
/// Cost      partition() looks at up to kMaxTokenBytes bytes from every position where a special token may begin, and
///           again where a longer token took the end of one. Memory O(text)
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
  /// Where a token may begin, and the end of what is trusted from there: control tokens must not go on behind it.
  struct Candidate {
    std::size_t begin;
    std::size_t trusted_end;
  };
  struct Match {
    std::size_t begin;
    std::size_t size;
    SymbolId token;
  };

  void add(std::string_view text, SymbolId token, TokenType type);
  /// The longest token that begins there and ends before any byte that is `taken`; of size 0 when there is none.
  [[nodiscard]] Match longest_at(std::string_view text, const Candidate& at, const std::vector<bool>& taken) const;
  /// Where tokens begin, by the size of the longest; empty when none does.
  [[nodiscard]] std::vector<std::vector<Candidate>> find_candidates(std::string_view text, bool parse_special,
                                                                    std::span<const TextRange> untrusted) const;
  [[nodiscard]] std::vector<Match> choose(std::string_view text,
                                          std::vector<std::vector<Candidate>> candidates_by_size) const;

  std::array<bool, 256> can_begin_{};  // by first byte, since most positions of a text start no special token
  std::vector<Node> nodes_{1};         // a trie; nodes_[0] is its root
  FlatMap<std::uint32_t> children_;    // node << 8 | byte -> node
};

}  // namespace tern::text
