#include "src/engine/lookup.h"

#include <algorithm>

#include "src/base/fnv1a.h"

namespace tern::engine {
namespace {

constexpr double kMemory = 0.9;     // weight of the past in running means
constexpr double kForget = 0.98;    // and where nothing new is known
constexpr double kUsualCost = 0.2;  // that each more token adds to a pass, as a share of a pass over one
constexpr double kWorthIt = 1.1;    // times the speed without has to be promised, for measurements waver

/// Matches are trusted by how many tokens they guessed right so far: 0, 1-3, 4-15, more.
std::size_t trust(std::size_t match_length) {
  return match_length == 0 ? 0 : match_length < 4 ? 1 : match_length < 16 ? 2 : 3;
}

}  // namespace

Lookup::Lookup() : more_(kUsualCost) {}

std::uint64_t Lookup::key(std::size_t n) const { return fnv1a(std::as_bytes(std::span(text_).last(n))) ^ n; }

void Lookup::push(Token token) {
  if (match_ != 0) {
    const bool was_right = text_[match_] == token;
    double& right = right_[trust(match_length_)];
    right = kMemory * right + (was_right ? 1.0 - kMemory : 0.0);
    match_ = was_right ? match_ + 1 : 0;
    match_length_ = was_right ? match_length_ + 1 : 0;
  }
  text_.push_back(token);
  if (match_ == 0) find_match();
  for (const std::size_t n : {kShortKey, kLongKey}) {
    if (text_.size() >= n) ends_[key(n)] = text_.size();
  }
}

/// Looks for the last tokens in what came before, the longer run first.
void Lookup::find_match() {
  for (const std::size_t n : {kLongKey, kShortKey}) {
    if (text_.size() < n) continue;
    const auto found = ends_.find(key(n));
    if (found == ends_.end()) continue;
    match_ = found->second;
    return;
  }
}

/// The number of guesses that gives the most tokens for the time.
std::size_t Lookup::worthwhile(std::size_t available) const {
  double expected = 1.0;  // tokens of a pass
  double chance = 1.0;    // that all guesses so far are right
  double best = kWorthIt;
  std::size_t best_n = 0;
  for (std::size_t n = 1; n <= available; ++n) {
    chance *= right_[trust(match_length_ + n - 1)];
    expected += chance;
    const double rate = expected / (1.0 + more_ * static_cast<double>(n));
    if (rate > best) {
      best = rate;
      best_n = n;
    }
  }
  return best_n;
}

std::span<const Token> Lookup::guess(std::size_t limit) {
  if (match_ == 0) return {};
  const std::size_t available = std::min({limit, kMaxGuesses, text_.size() - match_});
  return std::span(text_).subspan(match_, worthwhile(available));
}

void Lookup::measured(std::size_t n_tokens, double seconds) {
  if (n_tokens == 1) {
    one_ = one_ == 0.0 ? seconds : kMemory * one_ + (1.0 - kMemory) * seconds;
    more_ = kForget * more_ + (1.0 - kForget) * kUsualCost;  // or else one slow pass could end all guessing
  } else if (one_ > 0.0) {
    const double more = std::max(0.0, seconds / one_ - 1.0) / static_cast<double>(n_tokens - 1);
    more_ = kMemory * more_ + (1.0 - kMemory) * more;
  }
}

}  // namespace tern::engine
