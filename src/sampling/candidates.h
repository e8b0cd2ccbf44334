#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "src/base/portable_math.h"
#include "tern/tokenizer.h"

namespace tern::sampling {

struct Candidate {
  Token token;
  float logit;  // never NaN
};

/// Likelier first, the lower id on ties: a total order, so every sort gives the same sequence.
[[nodiscard]] inline bool is_better(const Candidate& a, const Candidate& b) noexcept {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// The tokens still in the running. Until a step removes some, candidate i is token i.
class Candidates {
 public:
  /// Starts with every token; NaN becomes minus infinity.
  void assign(std::span<const float> logits) {
    items_.resize(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const float logit = std::isnan(logits[i]) ? -std::numeric_limits<float>::infinity() : logits[i];
      items_[i] = {static_cast<Token>(i), logit};
    }
    n_sorted_ = 0;
  }

  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] std::span<const Candidate> items() const noexcept { return items_; }
  /// For steps that change logits. They must keep the order of what is sorted.
  [[nodiscard]] std::span<Candidate> items() noexcept { return items_; }

  /// Requires size() > 0.
  [[nodiscard]] const Candidate& best() const noexcept {
    return n_sorted_ > 0 ? items_.front() : *std::min_element(items_.begin(), items_.end(), is_better);
  }

  /// Puts the n best first, in order. Costs O(size) for small n, so a large vocabulary is never sorted whole.
  void sort_first(std::size_t n) {
    if (n <= n_sorted_) return;
    const auto at = [this](std::size_t i) { return items_.begin() + static_cast<std::ptrdiff_t>(i); };
    // A heap of n is quick while n is small; a larger front is split off first. Both end in the same order.
    if (n - n_sorted_ > kLargestHeap && n < size()) std::nth_element(at(n_sorted_), at(n), items_.end(), is_better);
    if (n - n_sorted_ > kLargestHeap) {
      std::sort(at(n_sorted_), at(n), is_better);
    } else {
      std::partial_sort(at(n_sorted_), at(n), items_.end(), is_better);
    }
    n_sorted_ = n;
  }

  /// Drops all but the first n. Requires 0 < n <= size().
  void keep_first(std::size_t n) {
    items_.resize(n);
    n_sorted_ = std::min(n_sorted_, n);
  }

  /// Drops the candidates for which `keep` is false, without changing the order of the others.
  template <typename Keep>
  void keep_if(const Keep& keep) {
    const auto drop = [&](const Candidate& candidate) { return !keep(candidate); };
    const auto sorted_end = items_.begin() + static_cast<std::ptrdiff_t>(n_sorted_);
    const auto n_dropped = static_cast<std::size_t>(std::count_if(items_.begin(), sorted_end, drop));
    items_.erase(std::remove_if(items_.begin(), items_.end(), drop), items_.end());
    n_sorted_ -= n_dropped;
  }

 private:
  static constexpr std::size_t kLargestHeap = 256;  // candidates

  std::vector<Candidate> items_;
  std::size_t n_sorted_ = 0;  // so many candidates at the front are the best ones, in order
};

/// Probability of a candidate relative to the best one, in [0, 1].
[[nodiscard]] inline double relative_probability(float logit, float best) noexcept {
  // Equal infinities must not meet in a subtraction.
  return logit == best ? 1.0 : portable::exp(static_cast<double>(logit) - static_cast<double>(best));
}

}  // namespace tern::sampling
