#include "tern/tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "src/base/check.h"
#include "src/text/pre_rules.h"
#include "src/text/tokenizer_impl.h"
#include "src/text/utf8.h"

namespace tern {
namespace {

// Offsets within a text have 32 bits, and a space may be added.
constexpr std::size_t kMaxTextBytes = std::numeric_limits<std::uint32_t>::max() / 2;

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const text::TokenizerImpl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<Token> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > kMaxTextBytes) {
    fail(ErrorKind::kInvalidArgument, "encode: expected a text of at most {} bytes, found {}", kMaxTextBytes,
         text.size());
  }
  return or_out_of_memory("the tokens of a text", [&] {
    const text::SpecialTokens& special = impl_->parts().special;
    const auto parts = impl_->parts().matcher.partition(text, options.parse_special, options.untrusted);
    std::vector<Token> tokens;
    // A chat template that spells BOS out must not give it twice.
    const bool begins_with_bos =
        special.bos && !parts.empty() && parts[0].token == static_cast<text::SymbolId>(*special.bos);
    if (options.add_special && adds_bos() && !begins_with_bos) tokens.push_back(*special.bos);
    for (const auto& part : parts) {
      if (part.token == text::kNoSymbol) {
        impl_->encode_part(part.text, part.text.data() == text.data(), tokens);
      } else {
        tokens.push_back(static_cast<Token>(part.token));
      }
    }
    if (options.add_special && special.add_eos && special.eos) tokens.push_back(*special.eos);
    return tokens;
  });
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool special) const {
  std::string text;
  bool drop_space = adds_space_prefix();
  for (const Token token : tokens) {
    const std::string bytes = piece(token, special);
    const bool begins_text = drop_space && !is_control(token);
    text.append(bytes, begins_text && bytes.starts_with(' ') ? 1 : 0);
    if (begins_text) drop_space = false;
  }
  return text;
}

std::string Tokenizer::piece(Token token, bool special) const {
  if (token < 0 || static_cast<std::size_t>(token) >= vocab_size()) return {};
  if (!special && is_control(token)) return {};
  return std::string(impl_->parts().vocabulary.bytes(static_cast<text::SymbolId>(token)));
}

std::size_t Tokenizer::vocab_size() const noexcept { return impl_->parts().vocabulary.n_tokens(); }
std::optional<Token> Tokenizer::bos() const noexcept { return impl_->parts().special.bos; }
std::optional<Token> Tokenizer::eos() const noexcept { return impl_->parts().special.eos; }
bool Tokenizer::adds_bos() const noexcept { return impl_->parts().special.add_bos && bos(); }

bool Tokenizer::is_stop(Token token) const noexcept {
  const std::vector<Token>& stops = impl_->parts().special.stops;
  return std::binary_search(stops.begin(), stops.end(), token);
}

bool Tokenizer::is_control(Token token) const noexcept {
  if (token < 0 || static_cast<std::size_t>(token) >= vocab_size()) return false;
  const text::TokenType type = impl_->parts().vocabulary.type(static_cast<text::SymbolId>(token));
  return type == text::TokenType::kControl || type == text::TokenType::kUnknown;
}

bool Tokenizer::adds_space_prefix() const noexcept { return impl_->adds_space_prefix(); }
std::string_view Tokenizer::kind() const noexcept { return impl_->kind(); }
std::string_view Tokenizer::pre_rule() const noexcept { return impl_->pre_rule(); }
const std::vector<std::string>& Tokenizer::notes() const noexcept { return impl_->parts().notes; }
std::vector<std::string_view> Tokenizer::pre_rules() { return text::pre_rule_names(); }

std::string StreamDecoder::push(Token token) {
  const std::string bytes = tokenizer_.piece(token);
  const bool begins_text = drop_space_ && !tokenizer_.is_control(token);
  held_.append(bytes, begins_text && bytes.starts_with(' ') ? 1 : 0);
  if (begins_text) drop_space_ = false;

  std::string complete = std::move(held_);
  const std::size_t n_complete = complete.size() - text::utf8_incomplete_suffix(complete);
  held_ = complete.substr(n_complete);
  complete.resize(n_complete);
  return complete;
}

std::string StreamDecoder::flush() { return std::exchange(held_, {}); }

}  // namespace tern
