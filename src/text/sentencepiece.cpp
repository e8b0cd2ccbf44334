#include "src/text/sentencepiece.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "src/base/check.h"
#include "src/base/printable.h"
#include "src/text/utf8.h"

namespace tern::text {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581, how SentencePiece spells a space

void append_unmarked(std::string_view text, std::string& bytes) {
  std::size_t begin = 0;
  for (std::size_t mark = text.find(kSpaceMark); mark != std::string_view::npos; mark = text.find(kSpaceMark, begin)) {
    bytes += text.substr(begin, mark - begin);
    bytes += ' ';
    begin = mark + kSpaceMark.size();
  }
  bytes += text.substr(begin);
}

/// The byte that a text like <0x0A> names.
std::optional<char> parse_byte(std::string_view text) {
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return std::nullopt;
  unsigned value = 0;
  const auto result = std::from_chars(text.data() + 3, text.data() + 5, value, 16);
  if (result.ec != std::errc() || result.ptr != text.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

/// Maps the order of floats to that of integers, reversed: the higher the score, the lower the result.
std::uint32_t descending_order(float score) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // -0 becomes +0, which is equal to it
  // IEEE 754 binary32 orders like sign and magnitude.
  const bool is_negative = (bits >> 31) != 0;
  return is_negative ? bits : ~bits & 0x7FFFFFFFu;
}

/// Length in bytes of the spaces at the begin and what follows them up to the next space.
std::size_t first_word_size(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(' ');
  const std::size_t end = begin == std::string_view::npos ? begin : text.find(' ', begin);
  return end == std::string_view::npos ? text.size() : end;
}

/// Whether no token goes on past the end of a word, so that words can be merged one by one.
bool are_words_independent(const Vocabulary& vocabulary) {
  for (SymbolId token = 0; token < vocabulary.n_tokens(); ++token) {
    const std::string_view bytes = vocabulary.bytes(token);
    if (first_word_size(bytes) != bytes.size() && vocabulary.find(bytes) == token) return false;
  }
  return true;
}

}  // namespace

Vocabulary read_sentencepiece_vocabulary(const format::Metadata& metadata, const TokenTable& table) {
  Vocabulary vocabulary(table.texts.size());
  std::string bytes;
  for (std::size_t i = 0; i < table.texts.size(); ++i) {
    const std::string_view text = table.texts[i];
    const TokenType type = table.types[i];
    bytes.clear();
    if (type == TokenType::kByte) {
      const auto byte = parse_byte(text);
      if (!byte) {
        fail(ErrorKind::kBadFile, "{}: tokenizer.ggml.tokens: token {}: expected a byte token like <0x0A>, found '{}'",
             metadata.source(), i, printable(text));
      }
      bytes += *byte;
    } else if (type == TokenType::kControl || type == TokenType::kUnknown || type == TokenType::kUserDefined) {
      bytes += text;
    } else {
      append_unmarked(text, bytes);
    }
    // A real space in a text cannot come out of merging, where all spaces are U+2581.
    const bool is_literal = type == TokenType::kControl || type == TokenType::kUnknown || type == TokenType::kByte;
    vocabulary.add_token(bytes, type, !is_literal && text.find(' ') == std::string_view::npos);
  }
  vocabulary.index_tokens();
  return vocabulary;
}

std::vector<std::uint32_t> read_priorities(const TokenTable& table) {
  std::vector<std::uint32_t> priorities(table.texts.size());
  if (table.scores == nullptr) return priorities;
  for (std::size_t i = 0; i < priorities.size(); ++i) {
    priorities[i] = descending_order(static_cast<float>(table.scores->number(i)));
  }
  return priorities;
}

SentencePiece::SentencePiece(TokenizerParts parts, std::vector<std::uint32_t> priorities, SpacePrefix space_prefix)
    : TokenizerImpl(std::move(parts)),
      priorities_(std::move(priorities)),
      space_prefix_(space_prefix),
      words_are_independent_(are_words_independent(vocabulary())) {
  byte_tokens_.fill(kNoSymbol);
  for (SymbolId token = 0; token < vocabulary().n_tokens(); ++token) {
    if (vocabulary().type(token) != TokenType::kByte) continue;
    SymbolId& slot = byte_tokens_[static_cast<unsigned char>(vocabulary().bytes(token)[0])];
    if (slot == kNoSymbol) slot = token;
  }
}

bool SentencePiece::puts_space_before(std::string_view text, bool is_first) const noexcept {
  if (space_prefix_ == SpacePrefix::kNever || space_prefix_ == SpacePrefix::kEveryPart) {
    return space_prefix_ == SpacePrefix::kEveryPart;
  }
  const bool has_space = text.starts_with(' ') || text.starts_with(kSpaceMark);
  return !has_space && (is_first || space_prefix_ == SpacePrefix::kEveryPartIfNone);
}

void SentencePiece::encode_part(std::string_view text, bool is_first, std::vector<Token>& tokens) const {
  std::string unmarked = puts_space_before(text, is_first) ? " " : "";
  append_unmarked(text, unmarked);
  Merger merger;
  for (std::string_view rest = unmarked; !rest.empty();) {
    const std::size_t size = words_are_independent_ ? first_word_size(rest) : rest.size();
    encode_word(rest.substr(0, size), merger, tokens);
    rest.remove_prefix(size);
  }
}

void SentencePiece::encode_word(std::string_view word, Merger& merger, std::vector<Token>& tokens) const {
  merger.clear();
  std::size_t length = 0;
  for (std::size_t i = 0; i < word.size(); i += length) {
    // A byte that is not UTF-8 is a character of its own.
    length = std::max<std::size_t>(utf8_sequence_length(word, i), 1);
    merger.push(vocabulary().find(word.substr(i, length)), static_cast<std::uint32_t>(length));
  }
  merger.run([&](const Symbol& left, const Symbol& right) {
    const SymbolId id = vocabulary().find(word.substr(left.begin, left.size + right.size));
    return id == kNoSymbol ? Merge{} : Merge{priorities_[id], id};
  });
  merger.for_each(
      [&](const Symbol& symbol) { append_symbol(symbol.id, word.substr(symbol.begin, symbol.size), tokens); });
}

void SentencePiece::append_symbol(SymbolId symbol, std::string_view bytes, std::vector<Token>& tokens) const {
  if (symbol != kNoSymbol) {
    tokens.push_back(static_cast<Token>(symbol));
    return;
  }
  const std::size_t size_before = tokens.size();
  for (const char c : bytes) {
    const SymbolId byte = byte_tokens_[static_cast<unsigned char>(c)];
    if (byte == kNoSymbol) {
      tokens.resize(size_before);
      if (const auto unknown = parts().special.unknown) tokens.push_back(*unknown);
      return;
    }
    tokens.push_back(static_cast<Token>(byte));
  }
}

}  // namespace tern::text
