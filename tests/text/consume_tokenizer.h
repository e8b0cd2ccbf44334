#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/text/utf8.h"
#include "tokenizer_file.h"

namespace tern::test {

/// Takes small values from the front of some bytes; zeros when there are no more.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t remaining() const noexcept { return bytes_.size(); }
  /// 0 .. limit - 1, from one byte.
  std::size_t below(std::size_t limit) {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<std::size_t>(bytes_[0]);
    bytes_ = bytes_.subspan(1);
    return value % limit;
  }
  std::string text(std::size_t size) {
    const auto part = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(part.size());
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

 private:
  std::span<const std::byte> bytes_;
};

inline std::vector<std::string> take_texts(Bytes& bytes, std::size_t max_count) {
  std::vector<std::string> texts(bytes.below(max_count));
  for (std::string& text : texts) text = bytes.text(bytes.below(9));
  return texts;
}

/// A file that is whole, but for what the bytes change: tokens, types, scores, merges, roles and switches.
inline TokenizerFile take_tokenizer_file(Bytes& bytes) {
  const std::size_t flags = bytes.below(256);
  const bool is_byte_level = (flags & 1) != 0;
  const bool is_spelled = (flags & 2) != 0;  // else texts go in as they are, in the alphabet or not
  std::vector<TypedToken> more;
  for (const std::string& text : take_texts(bytes, 40)) {
    const auto type = static_cast<std::int32_t>(bytes.below(7));
    more.push_back({is_spelled ? spell(text) : text, type, static_cast<float>(bytes.below(16)) - 8.0f});
  }
  if (!is_byte_level) {
    TokenizerFile file = sentencepiece_file(more);
    file.set("tokenizer.ggml.add_space_prefix", (flags & 4) != 0);
    return file;
  }
  TokenizerFile file = byte_level_file({}, more);
  std::vector<std::string> merges;
  for (const std::string& text : take_texts(bytes, 40)) {
    const std::size_t cut = text.size() / 2;
    merges.push_back(is_spelled ? spell(text.substr(0, cut)) + " " + spell(text.substr(cut)) : text);
  }
  file.set("tokenizer.ggml.merges", merges);
  const std::vector<std::string_view> rules = Tokenizer::pre_rules();
  file.set("tokenizer.ggml.pre", rules[bytes.below(rules.size())]);
  return file;
}

/// Whether `offset` lies within a well-formed UTF-8 sequence.
inline bool splits_character(std::string_view text, std::size_t offset) {
  for (std::size_t n = 1; n <= std::min<std::size_t>(offset, 3); ++n) {
    if (text::utf8_sequence_length(text, offset - n) > n) return true;
  }
  return false;
}

/// Builds a tokenizer from the bytes and takes a text, the rest of them, there and back in every way.
///
/// True when text and bytes agree wherever they must. Throws tern::Error when the file is refused.
inline bool consume_tokenizer(std::span<const std::byte> input) {
  Bytes bytes(input);
  TokenizerFile file = take_tokenizer_file(bytes);
  file.set("tokenizer.ggml.bos_token_id", static_cast<int>(256 + bytes.below(40)));
  file.set("tokenizer.ggml.eos_token_id", static_cast<int>(256 + bytes.below(40)));
  file.set("tokenizer.ggml.add_bos_token", bytes.below(2) != 0);
  file.set("tokenizer.ggml.add_eos_token", bytes.below(2) != 0);
  const Tokenizer tokenizer = file.tokenizer();
  const std::string text = bytes.text(bytes.remaining());

  bool agrees = true;
  for (const bool add_special : {false, true}) {
    for (const bool parse_special : {false, true}) {
      const std::vector<Token> tokens = tokenizer.encode(text, {add_special, parse_special});
      const std::string decoded = tokenizer.decode(tokens);
      StreamDecoder decoder(tokenizer, false);
      std::string streamed;
      for (const Token token : tokens) {
        streamed += decoder.push(token);
        agrees = agrees && !splits_character(decoded, streamed.size());
      }
      agrees = agrees && streamed + decoder.flush() == decoded;
      for (const Token token : tokens) {
        agrees = agrees && token >= 0 && static_cast<std::size_t>(token) < tokenizer.vocab_size();
        // Ordinary text gives no control token, but the unknown one (0) where a byte has lost its token to a role.
        if (!add_special && !parse_special) agrees = agrees && (token == 0 || !tokenizer.is_control(token));
      }
    }
  }
  return agrees;
}

}  // namespace tern::test
