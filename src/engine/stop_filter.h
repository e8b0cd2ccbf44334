#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tern::engine {

/// Passes text on until it holds a stop text, and holds back an end that may be the beginning of one.
class StopFilter {
 public:
  /// `stops` must outlive the filter; none of them is empty.
  explicit StopFilter(std::span<const std::string> stops) : stops_(stops) {}

  /// The text that is now certain to come before any stop text.
  [[nodiscard]] std::string push(std::string_view text) {
    held_ += text;
    std::size_t n_certain = held_.size();
    for (const std::string& stop : stops_) {
      const std::size_t found = held_.find(stop);
      if (found == std::string::npos) continue;
      n_certain = std::min(n_certain, found);
      stopped_ = true;
    }
    if (!stopped_) n_certain -= possible_beginning();
    std::string certain = held_.substr(0, n_certain);
    held_.erase(0, n_certain);
    return certain;
  }

  /// True once a stop text came.
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

  /// What is held back, when no more text comes and it was not the beginning of a stop text after all.
  [[nodiscard]] std::string flush() { return stopped_ ? std::string() : std::exchange(held_, {}); }

 private:
  /// Bytes at the end of `held_` with which some stop text begins.
  [[nodiscard]] std::size_t possible_beginning() const {
    std::size_t longest = 0;
    for (const std::string& stop : stops_) {
      std::size_t n = std::min(stop.size() - 1, held_.size());
      while (n > longest && !held_.ends_with(std::string_view(stop).substr(0, n))) --n;
      longest = std::max(longest, n);
    }
    return longest;
  }

  std::span<const std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace tern::engine
