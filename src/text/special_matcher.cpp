#include "src/text/special_matcher.h"

#include <algorithm>
#include <utility>

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

SpecialMatcher::Match SpecialMatcher::longest_at(std::string_view text, const Candidate& at,
                                                 const std::vector<bool>& taken) const {
  Match longest{at.begin, 0, kNoSymbol};
  std::uint64_t node = 0;
  for (std::size_t i = at.begin; i < text.size() && (taken.empty() || !taken[i]); ++i) {
    const std::uint32_t* child = children_.find(node << 8 | static_cast<unsigned char>(text[i]));
    if (child == nullptr) break;
    node = *child;
    const Node& ends = nodes_[node];
    const SymbolId token = i < at.trusted_end && ends.control != kNoSymbol ? ends.control : ends.user_defined;
    if (token != kNoSymbol) longest = {at.begin, i + 1 - at.begin, token};
  }
  return longest;
}

std::vector<std::vector<SpecialMatcher::Candidate>> SpecialMatcher::find_candidates(
    std::string_view text, bool parse_special, std::span<const TextRange> untrusted) const {
  std::vector<std::vector<Candidate>> by_size;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    while (!untrusted.empty() && untrusted[0].end <= begin) untrusted = untrusted.subspan(1);
    if (!can_begin_[static_cast<unsigned char>(text[begin])]) continue;
    const std::size_t trusted_end = !parse_special ? begin : untrusted.empty() ? text.size() : untrusted[0].begin;
    const Candidate candidate{begin, trusted_end};
    const std::size_t size = longest_at(text, candidate, {}).size;
    if (size == 0) continue;
    if (by_size.size() <= size) by_size.resize(size + 1);
    by_size[size].push_back(candidate);
  }
  return by_size;
}

std::vector<SpecialMatcher::Match> SpecialMatcher::choose(
    std::string_view text, std::vector<std::vector<Candidate>> candidates_by_size) const {
  std::vector<Match> chosen;
  std::vector<bool> taken(candidates_by_size.empty() ? 0 : text.size());
  for (; !candidates_by_size.empty(); candidates_by_size.pop_back()) {
    const std::size_t size = candidates_by_size.size() - 1;
    std::vector<Candidate> candidates = std::move(candidates_by_size.back());
    std::ranges::sort(candidates, {}, &Candidate::begin);
    for (const Candidate& candidate : candidates) {
      const Match match = longest_at(text, candidate, taken);
      if (match.size == 0) continue;
      if (match.size < size) {  // a token chosen before lies in the way of what began here: a shorter one may fit
        candidates_by_size[match.size].push_back(candidate);
        continue;
      }
      std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(match.begin), match.size, true);
      chosen.push_back(match);
    }
  }
  std::ranges::sort(chosen, {}, &Match::begin);
  return chosen;
}

std::vector<SpecialMatcher::Part> SpecialMatcher::partition(std::string_view text, bool parse_special,
                                                            std::span<const TextRange> untrusted) const {
  const std::vector<Match> chosen = choose(text, find_candidates(text, parse_special, untrusted));
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
