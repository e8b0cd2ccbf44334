#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tern::text {

/// How a byte-level BPE tokenizer cuts text into words before it merges within each word.
struct PreRule {
  std::string_view names;                      // values of tokenizer.ggml.pre, separated by spaces; the first is ours
  std::span<const std::string_view> patterns;  // applied one after the other, each within the pieces of the one before
  bool ignore_merges;                          // a word that is a token as a whole is not built by merging
  bool adds_bos;                               // when the file says nothing about it

  [[nodiscard]] std::string_view name() const noexcept { return names.substr(0, names.find(' ')); }
};

/// nullptr when no rule has this name.
[[nodiscard]] const PreRule* find_pre_rule(std::string_view name);

/// All accepted names.
[[nodiscard]] std::vector<std::string_view> pre_rule_names();

}  // namespace tern::text
