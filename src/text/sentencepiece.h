#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "src/text/merge.h"
#include "src/text/tokenizer_impl.h"

namespace tern::text {

/// The token list of a SentencePiece file, with U+2581 written as the space that it stands for and `<0xNN>` as a byte.
///
/// Errors    Error(kBadFile): a byte token that is not spelled <0xNN>
[[nodiscard]] Vocabulary read_sentencepiece_vocabulary(const format::Metadata& metadata, const TokenTable& table);

/// Merge priority of each token (lowest first), which orders tokens by falling score. All equal when there are none.
[[nodiscard]] std::vector<std::uint32_t> read_priorities(const TokenTable& table);

/// Where a space is put that the text does not have.
enum class SpacePrefix {
  kNever,
  kEveryPart,        ///< before the text and after every special token, as SentencePiece does
  kEveryPartIfNone,  ///< the same, but not before a space
  kFirstPartIfNone,  ///< before a text that begins with neither a space nor a special token
};

/// SentencePiece's BPE: neighbouring characters merge whenever the result is a token, highest score first.
///
/// Source    Kudo and Richardson 2018, arXiv:1808.06226
class SentencePiece final : public TokenizerImpl {
 public:
  /// `priorities`: (tokens)
  SentencePiece(TokenizerParts parts, std::vector<std::uint32_t> priorities, SpacePrefix space_prefix);

  void encode_part(std::string_view text, bool is_first, std::vector<Token>& tokens) const override;
  [[nodiscard]] std::string_view kind() const noexcept override { return "SentencePiece BPE"; }
  [[nodiscard]] std::string_view pre_rule() const noexcept override { return {}; }
  [[nodiscard]] bool adds_space_prefix() const noexcept override { return space_prefix_ != SpacePrefix::kNever; }

 private:
  [[nodiscard]] bool puts_space_before(std::string_view text, bool is_first) const noexcept;
  void encode_word(std::string_view word, Merger& merger, std::vector<Token>& tokens) const;
  void append_symbol(SymbolId symbol, std::string_view bytes, std::vector<Token>& tokens) const;

  std::vector<std::uint32_t> priorities_;
  std::array<SymbolId, 256> byte_tokens_;  // kNoSymbol where the vocabulary has none
  SpacePrefix space_prefix_;
  bool words_are_independent_;
};

}  // namespace tern::text
