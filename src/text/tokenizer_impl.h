#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/text/special_matcher.h"
#include "src/text/special_tokens.h"
#include "src/text/vocabulary.h"
#include "tern/tokenizer.h"

namespace tern::text {

/// What every kind of tokenizer has.
struct TokenizerParts {
  Vocabulary vocabulary;
  SpecialTokens special;
  SpecialMatcher matcher;
  std::vector<std::string> notes;
};

/// A kind of tokenizer: how text without special tokens becomes tokens.
class TokenizerImpl {
 public:
  explicit TokenizerImpl(TokenizerParts parts) : parts_(std::move(parts)) {}
  virtual ~TokenizerImpl() = default;
  TokenizerImpl(const TokenizerImpl&) = delete;
  TokenizerImpl& operator=(const TokenizerImpl&) = delete;

  /// Appends the tokens of `text`, which is not empty and begins the whole text, as `is_first` says, or follows a
  /// special token.
  virtual void encode_part(std::string_view text, bool is_first, std::vector<Token>& tokens) const = 0;

  [[nodiscard]] virtual std::string_view kind() const noexcept = 0;
  [[nodiscard]] virtual std::string_view pre_rule() const noexcept = 0;
  [[nodiscard]] virtual bool adds_space_prefix() const noexcept = 0;

  [[nodiscard]] const TokenizerParts& parts() const noexcept { return parts_; }

 protected:
  [[nodiscard]] const Vocabulary& vocabulary() const noexcept { return parts_.vocabulary; }

 private:
  TokenizerParts parts_;
};

}  // namespace tern::text
