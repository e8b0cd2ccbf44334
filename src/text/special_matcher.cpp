#include "src/text/special_matcher.h"

#include <algorithm>

namespace tern::text {

SpecialMatcher::SpecialMatcher(const Vocabulary& vocabulary) {
  for (SymbolId token = 0; token < vocabulary.n_tokens(); ++token) {
    const TokenType type = vocabulary.type(token);
    if (type == TokenType::kControl || type == TokenType::kUnknown || type == TokenType::kUserDefined) {
      add(vocabulary.bytes(token), token, type);
    }
  }
}

void SpecialMatcher::add(std::string_view text, SymbolId token, TokenType type) {
  if (text.empty()) return;
  can_begin_[static_cast<unsigned char>(text[0])] = true;
  std::uint32_t node = 0;
  for (const char c : text) {
    const std::uint64_t edge = std::uint64_t{node} << 8 | static_cast<unsigned char>(c);
    if (children_.insert(edge, static_cast<std::uint32_t>(nodes_.size()))) nodes_.emplace_back();
    node = *children_.find(edge);
  }
  SymbolId& here = type == TokenType::kUserDefined ? nodes_[node].user_defined : nodes_[node].control;
  if (here == kNoSymbol) here = token;  // the first of two equal texts stays
}

std::vector<SpecialMatcher::Match> SpecialMatcher::find_all(std::string_view text, bool parse_special,
                                                            std::span<const TextRange> untrusted) const {
  std::vector<Match> matches;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    while (!untrusted.empty() && untrusted[0].end <= begin) untrusted = untrusted.subspan(1);
    // Control tokens have to end before the next range that is not trusted.
    const std::size_t trusted_end = !parse_special ? begin : untrusted.empty() ? text.size() : untrusted[0].begin;
    if (!can_begin_[static_cast<unsigned char>(text[begin])]) continue;
    std::uint64_t node = 0;
    for (std::size_t i = begin; i < text.size(); ++i) {
      const std::uint32_t* child = children_.find(node << 8 | static_cast<unsigned char>(text[i]));
      if (child == nullptr) break;
      node = *child;
      const Node& ends = nodes_[node];
      const SymbolId token = i < trusted_end && ends.control != kNoSymbol ? ends.control : ends.user_defined;
      if (token != kNoSymbol) matches.push_back({begin, i + 1 - begin, token});
    }
  }
  return matches;
}

std::vector<SpecialMatcher::Part> SpecialMatcher::partition(std::string_view text, bool parse_special,
                                                            std::span<const TextRange> untrusted) const {
  std::vector<Match> matches = find_all(text, parse_special, untrusted);
  std::vector<Match> chosen;
  if (!matches.empty()) {
    std::stable_sort(matches.begin(), matches.end(), [](const Match& a, const Match& b) { return a.size > b.size; });
    std::vector<bool> taken(text.size());
    for (const Match& match : matches) {
      // Those chosen before are at least as long, so one that overlaps covers the first or the last byte.
      if (taken[match.begin] || taken[match.begin + match.size - 1]) continue;
      std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(match.begin), match.size, true);
      chosen.push_back(match);
    }
    std::sort(chosen.begin(), chosen.end(), [](const Match& a, const Match& b) { return a.begin < b.begin; });
  }
  std::vector<Part> parts;
  std::size_t end = 0;
  for (const Match& match : chosen) {
    if (match.begin > end) parts.push_back({text.substr(end, match.begin - end), kNoSymbol});
    parts.push_back({text.substr(match.begin, match.size), match.token});
    end = match.begin + match.size;
  }
  if (end < text.size()) parts.push_back({text.substr(end), kNoSymbol});
  return parts;
}

}  // namespace tern::text
