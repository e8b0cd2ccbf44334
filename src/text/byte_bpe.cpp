#include "src/text/byte_bpe.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "src/base/check.h"
#include "src/base/printable.h"
#include "src/text/byte_alphabet.h"

namespace tern::text {
namespace {

constexpr std::uint64_t pair_key(SymbolId left, SymbolId right) noexcept { return std::uint64_t{left} << 32 | right; }

/// Position of the space between the two texts of a merge: the first one that leaves something on its left.
std::size_t find_separator(const format::Metadata& metadata, const format::StringArray& merges, std::size_t rank) {
  const std::size_t space = merges[rank].find(' ', 1);
  if (space == std::string_view::npos || space + 1 == merges[rank].size()) {
    fail(ErrorKind::kBadFile,
         "{}: tokenizer.ggml.merges: entry {}: expected two texts with a space between, found '{}'", metadata.source(),
         rank, printable(merges[rank]));
  }
  return space;
}

constexpr std::size_t kMergesAtOnce = 32;

/// Adds the merges from rank `begin` on, at most kMergesAtOnce. In three rounds over them, since almost every look-up
/// waits for memory: each round asks for what the next one reads.
void add_merges(const format::Metadata& metadata, const format::StringArray& merges, std::size_t begin,
                Vocabulary& vocabulary, MergeTable& table) {
  struct Entry {
    std::string bytes;  // of both texts
    HashedText left, right, both;
    std::uint64_t key = 0;
    Merge merge;
  };
  std::array<Entry, kMergesAtOnce> entries;
  std::size_t n = 0;
  for (std::size_t rank = begin; rank < std::min(begin + kMergesAtOnce, merges.size()); ++rank) {
    const std::string_view merge = merges[rank];
    const std::size_t space = find_separator(metadata, merges, rank);
    Entry& entry = entries[n];
    entry.bytes.clear();
    if (!kByteAlphabet.append_bytes(merge.substr(0, space), entry.bytes)) continue;
    const std::size_t left_size = entry.bytes.size();
    if (!kByteAlphabet.append_bytes(merge.substr(space + 1), entry.bytes)) continue;
    const std::string_view both = entry.bytes;
    entry.left = vocabulary.prefetch(both.substr(0, left_size));
    entry.right = vocabulary.prefetch(both.substr(left_size));
    entry.both = vocabulary.prefetch(both);
    entry.merge.priority = static_cast<std::uint32_t>(rank);
    ++n;
  }
  for (Entry& entry : std::span(entries).first(n)) {
    const SymbolId left = vocabulary.intern(entry.left);
    entry.key = pair_key(left, vocabulary.intern(entry.right));
    entry.merge.id = vocabulary.intern(entry.both);
    table.merges.prefetch(entry.key);
  }
  for (const Entry& entry : std::span(entries).first(n)) table.merges.insert(entry.key, entry.merge);
}

}  // namespace

Vocabulary read_byte_bpe_vocabulary(const TokenTable& table) {
  Vocabulary vocabulary(table.texts.size());
  std::string bytes;
  for (std::size_t i = 0; i < table.texts.size(); ++i) {
    const TokenType type = table.types[i];
    const std::string_view text = table.texts[i];
    const bool is_literal =
        type == TokenType::kControl || type == TokenType::kUnknown || type == TokenType::kUserDefined;
    bytes.clear();
    // A text outside the alphabet is printed as it stands and never comes out of merging.
    const bool is_spelled = !is_literal && kByteAlphabet.append_bytes(text, bytes);
    vocabulary.add_token(is_spelled ? bytes : text, type, is_spelled);
  }
  vocabulary.index_tokens();
  return vocabulary;
}

MergeTable read_merges(const format::Metadata& metadata, Vocabulary& vocabulary) {
  const format::StringArray* merges = metadata.strings("tokenizer.ggml.merges");
  if (merges == nullptr) {
    fail(ErrorKind::kBadFile, "{}: tokenizer.ggml.merges: expected a list of merges, found none", metadata.source());
  }
  MergeTable table{{}, FlatMap<Merge>(merges->size())};
  for (std::size_t byte = 0; byte < table.byte_symbols.size(); ++byte) {
    const char c = static_cast<char>(byte);
    table.byte_symbols[byte] = vocabulary.intern(vocabulary.prefetch({&c, 1}));
  }
  for (std::size_t rank = 0; rank < merges->size(); rank += kMergesAtOnce) {
    add_merges(metadata, *merges, rank, vocabulary, table);
  }
  return table;
}

ByteBpe::ByteBpe(TokenizerParts parts, MergeTable table, const PreRule& rule, std::string_view rule_name)
    : TokenizerImpl(std::move(parts)),
      table_(std::move(table)),
      pretokenizer_(rule.patterns),
      rule_name_(rule_name),
      ignore_merges_(rule.ignore_merges) {}

void ByteBpe::encode_part(std::string_view text, bool /*is_first*/, std::vector<Token>& tokens) const {
  Merger merger;
  for (const std::string_view word : pretokenizer_.split(text)) encode_word(word, merger, tokens);
}

void ByteBpe::encode_word(std::string_view word, Merger& merger, std::vector<Token>& tokens) const {
  if (ignore_merges_) {
    const SymbolId whole = vocabulary().find(word);
    if (whole < vocabulary().n_tokens()) {
      tokens.push_back(static_cast<Token>(whole));
      return;
    }
  }
  merger.clear();
  for (const char c : word) merger.push(table_.byte_symbols[static_cast<unsigned char>(c)], 1);
  merger.run([this](const Symbol& left, const Symbol& right) {
    const Merge* merge = table_.merges.find(pair_key(left.id, right.id));
    return merge == nullptr ? Merge{} : *merge;
  });
  merger.for_each([&](const Symbol& symbol) { append_symbol(symbol.id, tokens); });
}

void ByteBpe::append_symbol(SymbolId symbol, std::vector<Token>& tokens) const {
  const std::size_t n_tokens = vocabulary().n_tokens();
  if (symbol < n_tokens) {
    tokens.push_back(static_cast<Token>(symbol));
    return;
  }
  // Merging stopped at a text that is no token: its bytes stand in for it, as far as they are tokens.
  for (const char c : vocabulary().bytes(symbol)) {
    const SymbolId byte = table_.byte_symbols[static_cast<unsigned char>(c)];
    if (byte < n_tokens) tokens.push_back(static_cast<Token>(byte));
  }
}

}  // namespace tern::text
