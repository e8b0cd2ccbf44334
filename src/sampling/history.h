#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>

#include "tern/tokenizer.h"

namespace tern::sampling {

/// The last tokens of the text, and how often each one is among them.
class History {
 public:
  explicit History(std::size_t window) : window_(window) {}

  void push(Token token) {
    if (window_ == 0) return;
    tokens_.push_back(token);
    ++counts_[token];
    if (tokens_.size() <= window_) return;
    const auto oldest = counts_.find(tokens_.front());
    if (--oldest->second == 0) counts_.erase(oldest);
    tokens_.pop_front();
  }

  [[nodiscard]] const std::unordered_map<Token, std::uint32_t>& counts() const noexcept { return counts_; }

 private:
  std::size_t window_;  // tokens
  std::deque<Token> tokens_;
  std::unordered_map<Token, std::uint32_t> counts_;
};

}  // namespace tern::sampling
