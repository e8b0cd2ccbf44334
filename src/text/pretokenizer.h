#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;  // PCRE2's compiled pattern

namespace tern::text {

/// Cuts text into words with the patterns of a rule.
///
/// Each pattern is applied within every piece that the one before it left; its matches and the gaps between them
/// become pieces. A byte that is not part of well-formed UTF-8 counts as one character that is neither letter, digit,
/// space nor punctuation.
///
/// Threads   immutable; may be shared
/// Cost      linear in the text for the patterns of pre_rules.cpp
class Pretokenizer {
 public:
  /// The patterns are in PCRE2's syntax, but \s and \S (outside and inside brackets) mean Unicode's White_Space.
  /// Requires valid patterns that never match the empty string.
  explicit Pretokenizer(std::span<const std::string_view> patterns);

  /// Non-empty pieces of `text`, in order, that cover it completely.
  /// Errors    Error(kUnsupported) when PCRE2 gives up on a text
  [[nodiscard]] std::vector<std::string_view> split(std::string_view text) const;

 private:
  struct FreeCode {
    void operator()(pcre2_real_code_8* code) const noexcept;
  };
  std::vector<std::unique_ptr<pcre2_real_code_8, FreeCode>> codes_;
};

}  // namespace tern::text
