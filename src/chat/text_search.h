#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/chat/run.h"

namespace tern::chat {

/// Looks for a text in others, in a time that grows with their lengths and not with the product of these.
/// Source: Knuth, Morris and Pratt: Fast Pattern Matching in Strings, SIAM J. Comput. 6 (2), 1977.
class TextSearch {
 public:
  enum class From { kLeft, kRight };

  /// Counts the work of looking through all of `text`, in one go or by its parts. Keeps a view of `wanted`.
  TextSearch(Run& run, TextView text, TextView wanted, From from = From::kLeft);

  /// Where the first place begins, or the last one when it looks from the right; TextView::npos without one.
  [[nodiscard]] std::size_t find(TextView text) const;

 private:
  /// The i-th character, counted from the side that the search begins at.
  [[nodiscard]] Char at(TextView text, std::size_t i) const noexcept {
    return text[from_ == From::kLeft ? i : text.size() - 1 - i];
  }
  /// How much of `wanted` is matched once `c` follows what was.
  [[nodiscard]] std::size_t next_match(std::size_t n_matched, Char c) const noexcept;

  TextView wanted_;
  From from_;
  std::vector<std::uint32_t> borders_;  // of the first i + 1 characters: the longest begin that is their end as well
};

}  // namespace tern::chat
