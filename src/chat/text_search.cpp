#include "src/chat/text_search.h"

namespace tern::chat {

static_assert(kMaxCharacters <= UINT32_MAX, "borders are kept in 32 bits");

TextSearch::TextSearch(Run& run, TextView text, TextView wanted, From from) : wanted_(wanted), from_(from) {
  run.step(1 + text.size() / 32);  // characters are compared up to twice
  if (wanted.empty() || wanted.size() > text.size()) return;
  run.step(wanted.size() / 32);
  borders_.reserve(wanted.size());
  borders_.push_back(0);
  for (std::size_t i = 1; i < wanted.size(); ++i) {
    borders_.push_back(static_cast<std::uint32_t>(next_match(borders_.back(), at(wanted, i))));
  }
}

std::size_t TextSearch::next_match(std::size_t n_matched, Char c) const noexcept {
  while (n_matched > 0 && !CharTraits::eq(at(wanted_, n_matched), c)) n_matched = borders_[n_matched - 1];
  return CharTraits::eq(at(wanted_, n_matched), c) ? n_matched + 1 : 0;
}

std::size_t TextSearch::find(TextView text) const {
  if (wanted_.empty()) return from_ == From::kLeft ? 0 : text.size();
  if (wanted_.size() > text.size()) return TextView::npos;
  std::size_t n_matched = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    n_matched = next_match(n_matched, at(text, i));
    if (n_matched == wanted_.size()) return from_ == From::kLeft ? i + 1 - n_matched : text.size() - 1 - i;
  }
  return TextView::npos;
}

}  // namespace tern::chat
