#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/chat/lexer.h"
#include "src/chat/run.h"

namespace tern::chat {

/// The tokens of a template, one after the other.
class TokenStream {
 public:
  explicit TokenStream(std::vector<TemplateToken> tokens) : tokens_(std::move(tokens)) {}

  [[nodiscard]] const TemplateToken& current() const noexcept { return tokens_[at_]; }
  [[nodiscard]] const TemplateToken& next() const noexcept { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  [[nodiscard]] std::size_t line() const noexcept { return current().line; }

  [[nodiscard]] bool is(TokenKind kind) const noexcept { return current().kind == kind; }
  [[nodiscard]] bool is_operator(std::string_view word) const noexcept {
    return is(TokenKind::kOperator) && current().word == word;
  }
  [[nodiscard]] bool is_name(std::string_view word) const noexcept {
    return is(TokenKind::kName) && current().word == word;
  }
  [[nodiscard]] bool is_name(std::initializer_list<std::string_view> words) const noexcept {
    for (const std::string_view word : words) {
      if (is_name(word)) return true;
    }
    return false;
  }

  /// Moves on, but never past the end.
  const TemplateToken& take() {
    const TemplateToken& token = current();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool skip_operator(std::string_view word) {
    const bool found = is_operator(word);
    if (found) take();
    return found;
  }
  bool skip_name(std::string_view word) {
    const bool found = is_name(word);
    if (found) take();
    return found;
  }

  // These fail when something else comes.
  void expect(TokenKind kind, std::string_view what) {
    if (!is(kind)) fail_expected(what);
    take();
  }
  void expect_operator(std::string_view word) {
    if (!skip_operator(word)) fail_expected(fmt::format("'{}'", word));
  }
  std::string expect_name(std::string_view what) {
    if (!is(TokenKind::kName)) fail_expected(what);
    return take().word;
  }

  [[noreturn]] void fail_expected(std::string_view what) const {
    fail_at(line(), ErrorKind::kBadFile, fmt::format("expected {}, found {}", what, describe(current())));
  }
  [[noreturn]] void refuse(std::string_view message) const { fail_at(line(), ErrorKind::kUnsupported, message); }

  /// Bounds the parser's recursion while it lives.
  class Level {
   public:
    explicit Level(TokenStream& tokens) : tokens_(tokens) {
      if (++tokens_.depth_ > kMaxNesting) {
        --tokens_.depth_;
        tokens_.refuse(fmt::format("expected at most {} levels within each other, found more", kMaxNesting));
      }
    }
    ~Level() { --tokens_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    TokenStream& tokens_;
  };

 private:
  std::vector<TemplateToken> tokens_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace tern::chat
