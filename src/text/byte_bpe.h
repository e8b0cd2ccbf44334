#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "src/format/gguf.h"
#include "src/text/flat_map.h"
#include "src/text/merge.h"
#include "src/text/pre_rules.h"
#include "src/text/pretokenizer.h"
#include "src/text/tokenizer_impl.h"

namespace tern::text {

/// The token list of a byte-level BPE file, with the texts in bytes instead of the byte alphabet.
[[nodiscard]] Vocabulary read_byte_bpe_vocabulary(const TokenTable& table);

/// Which neighbours merge.
struct MergeTable {
  std::array<SymbolId, 256> byte_symbols{};  // what merging starts from
  FlatMap<Merge> merges;                     // left symbol << 32 | right symbol -> rank and what they become
};

/// Reads tokenizer.ggml.merges. Texts on the way that are no tokens become symbols of `vocabulary` beyond its tokens.
///
/// Errors    Error(kBadFile): no list, or an entry that is not two texts with a space between them
[[nodiscard]] MergeTable read_merges(const format::Metadata& metadata, Vocabulary& vocabulary);

/// Byte-level BPE: words are found by a rule, then neighbouring byte strings merge in the order of a list.
///
/// Source    Sennrich et al. 2016, arXiv:1508.07909; on bytes as in Radford et al. 2019 (GPT-2)
class ByteBpe final : public TokenizerImpl {
 public:
  /// `rule_name` is the name of `rule` by which the file or the user asked for it.
  ByteBpe(TokenizerParts parts, MergeTable table, const PreRule& rule, std::string_view rule_name);

  void encode_part(std::string_view text, bool is_first, std::vector<Token>& tokens) const override;
  [[nodiscard]] std::string_view kind() const noexcept override { return "byte-level BPE"; }
  [[nodiscard]] std::string_view pre_rule() const noexcept override { return rule_name_; }
  [[nodiscard]] bool adds_space_prefix() const noexcept override { return false; }

 private:
  void encode_word(std::string_view word, Merger& merger, std::vector<Token>& tokens) const;
  void append_symbol(SymbolId symbol, std::vector<Token>& tokens) const;

  MergeTable table_;
  Pretokenizer pretokenizer_;
  std::string rule_name_;
  bool ignore_merges_;
};

}  // namespace tern::text
