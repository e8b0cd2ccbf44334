#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "tern/tokenizer.h"

namespace tern::engine {

/// Guesses how a text goes on from where the same tokens came before in it, and says how many guesses are worth
/// computing.
///
/// Every guess is compared with the token that then came, computed ahead or not, so that the share of right ones is
/// known without ever paying for wrong ones; and the time of passes over 1, 2, ... tokens is measured.
/// Source    Saxena 2023, "prompt lookup decoding"; the idea of verifying guesses in one pass: Leviathan et al. 2022,
///           arXiv:2211.17192
class Lookup {
 public:
  static constexpr std::size_t kMaxGuesses = 15;  // tokens of a pass besides the one that is certain

  Lookup();

  /// Adds a token that is certain.
  void push(Token token);
  /// Tokens that are likely to follow, as many as are worth computing now, at most `limit`.
  [[nodiscard]] std::span<const Token> guess(std::size_t limit);
  /// Tells how long a pass over n_tokens took.
  void measured(std::size_t n_tokens, double seconds);

 private:
  static constexpr std::size_t kLongKey = 3;   // tokens that must agree for a match to be trusted most
  static constexpr std::size_t kShortKey = 2;  // and at least

  [[nodiscard]] std::uint64_t key(std::size_t n) const;
  void find_match();
  [[nodiscard]] std::size_t worthwhile(std::size_t available) const;

  std::vector<Token> text_;
  std::unordered_map<std::uint64_t, std::size_t> ends_;  // where some tokens last ended, by a hash of them
  std::size_t match_ = 0;                                // text_[match_] is the guess for the next token; 0: none
  std::size_t match_length_ = 0;                         // tokens guessed right from this match in a row
  std::array<double, 4> right_{};  // share of right guesses lately, by how well the match has done
  double one_ = 0.0;               // seconds of a pass over one token
  double more_;                    // and that each more token adds, as a share of one_
};

}  // namespace tern::engine
