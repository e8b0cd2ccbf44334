#include "src/text/tokenizer_factory.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/printable.h"
#include "src/text/byte_bpe.h"
#include "src/text/pre_rules.h"
#include "src/text/sentencepiece.h"
#include "src/text/special_tokens.h"
#include "src/text/tokenizer_impl.h"

namespace tern::text {
namespace {

constexpr std::size_t kLlama3Tokens = 128256;

/// A rule by the name under which it was asked for.
struct ChosenRule {
  std::string_view name;
  std::string note;  // empty when there is nothing to say
};

/// Files that leave the rule out: the one that their models were trained with where that is known.
ChosenRule choose_missing_rule(const format::Metadata& metadata, std::size_t n_tokens) {
  const std::string_view architecture = metadata.string("general.architecture").value_or("");
  const bool is_bitnet = architecture == "bitnet-b1.58" || architecture == "bitnet-25";
  if (is_bitnet && n_tokens == kLlama3Tokens) {
    return {"llama3", fmt::format("tokenizer.ggml.pre is missing; chose the rule llama3, since {} with {} tokens was "
                                  "trained with it",
                                  architecture, n_tokens)};
  }
  if (architecture == "qwen3") {
    return {"qwen2", "tokenizer.ggml.pre is missing; chose the rule qwen2, since qwen3 was trained with it"};
  }
  return {"default",
          "tokenizer.ggml.pre is missing; chose the rule default, which may split words in another way than "
          "the model was trained with"};
}

ChosenRule choose_rule(const format::Metadata& metadata, std::string_view override_name, std::size_t n_tokens) {
  if (!override_name.empty()) return {override_name, {}};
  if (const auto name = metadata.string("tokenizer.ggml.pre"); name && !name->empty()) return {*name, {}};
  return choose_missing_rule(metadata, n_tokens);
}

/// `if_unknown`: who is to blame, the file or the caller.
const PreRule& require_rule(const format::Metadata& metadata, std::string_view name, ErrorKind if_unknown) {
  if (const PreRule* rule = find_pre_rule(name)) return *rule;
  std::string known;
  for (const std::string_view each : pre_rule_names()) known += fmt::format(" {}", each);
  fail(if_unknown,
       "{}: pre-tokenizer rule: expected one of{}, found '{}'; a rule given by the caller overrides the file's "
       "tokenizer.ggml.pre",
       metadata.source(), known, printable(name));
}

/// Vocabulary counts bytes in 32 bits; merges add at most three times their own texts to it.
void check_size(const format::Metadata& metadata, const TokenTable& table) {
  std::uint64_t bytes = 0;
  for (const std::string_view text : table.texts) bytes += text.size();
  if (const format::StringArray* merges = metadata.strings("tokenizer.ggml.merges")) {
    for (const std::string_view text : *merges) bytes += 3 * std::uint64_t{text.size()};
  }
  constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::uint32_t>::max() - 256;
  constexpr std::uint64_t kMaxTokens = std::uint64_t{1} << 24;
  if (bytes > kMaxBytes || table.texts.size() > kMaxTokens) {
    fail(ErrorKind::kBadFile, "{}: tokenizer: expected at most {} tokens of {} bytes together, found {} of {}",
         metadata.source(), kMaxTokens, kMaxBytes, table.texts.size(), bytes);
  }
}

SpecialMatcher make_matcher(const format::Metadata& metadata, const Vocabulary& vocabulary) {
  for (SymbolId token = 0; token < vocabulary.n_tokens(); ++token) {
    const std::size_t size = vocabulary.bytes(token).size();
    if (vocabulary.type(token) != TokenType::kNormal && size > SpecialMatcher::kMaxTokenBytes) {
      fail(ErrorKind::kUnsupported, "{}: tokenizer: special token {}: expected at most {} bytes, found {}",
           metadata.source(), token, SpecialMatcher::kMaxTokenBytes, size);
    }
  }
  return SpecialMatcher(vocabulary);
}

std::unique_ptr<const TokenizerImpl> make_byte_bpe(const format::Metadata& metadata, std::string_view override_name) {
  TokenTable table = read_token_table(metadata);
  check_size(metadata, table);
  ChosenRule chosen = choose_rule(metadata, override_name, table.texts.size());
  PreRule rule = require_rule(metadata, chosen.name,
                              override_name.empty() ? ErrorKind::kUnsupported : ErrorKind::kInvalidArgument);
  rule.ignore_merges = metadata.boolean("tokenizer.ggml.ignore_merges").value_or(rule.ignore_merges);

  TokenizerParts parts;
  if (!chosen.note.empty()) parts.notes.push_back(std::move(chosen.note));
  SpecialTokens defaults;
  defaults.add_bos = rule.adds_bos;
  parts.special = read_special_tokens(metadata, table, std::move(defaults));
  parts.vocabulary = read_byte_bpe_vocabulary(table);
  parts.matcher = make_matcher(metadata, parts.vocabulary);
  MergeTable merges = read_merges(metadata, parts.vocabulary);
  return std::make_unique<ByteBpe>(std::move(parts), std::move(merges), rule, chosen.name);
}

/// GGUF tells whether a space is put before every part of a text; a key of our own, for tokenizers that did not come in
/// GGUF, tells of other ways.
SpacePrefix read_space_prefix(const format::Metadata& metadata) {
  constexpr std::string_view kKey = "tern.tokenizer.space_prefix";
  const bool adds = metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  if (!adds) return SpacePrefix::kNever;
  const auto way = metadata.string(kKey);
  if (!way) return SpacePrefix::kEveryPart;
  if (*way == "if_none") return SpacePrefix::kEveryPartIfNone;
  if (*way == "first_if_none") return SpacePrefix::kFirstPartIfNone;
  fail(ErrorKind::kUnsupported, "{}: {}: expected if_none or first_if_none, found '{}'", metadata.source(), kKey,
       printable(*way));
}

std::unique_ptr<const TokenizerImpl> make_sentencepiece(const format::Metadata& metadata,
                                                        std::string_view override_name) {
  if (!override_name.empty()) {
    fail(ErrorKind::kInvalidArgument,
         "{}: a SentencePiece tokenizer has no pre-tokenizer rule, found the override '{}'", metadata.source(),
         printable(override_name));
  }
  TokenTable table = read_token_table(metadata);
  check_size(metadata, table);
  if (table.scores == nullptr) {
    fail(ErrorKind::kBadFile, "{}: tokenizer.ggml.scores: expected {} scores, found none", metadata.source(),
         table.texts.size());
  }
  TokenizerParts parts;
  parts.special = read_special_tokens(metadata, table, {1, 2, 0, true, false, {}});
  parts.vocabulary = read_sentencepiece_vocabulary(metadata, table);
  parts.matcher = make_matcher(metadata, parts.vocabulary);
  return std::make_unique<SentencePiece>(std::move(parts), read_priorities(table), read_space_prefix(metadata));
}

}  // namespace

Tokenizer make_tokenizer(const format::Metadata& metadata, std::string_view pre_rule_override) {
  const auto model = metadata.string("tokenizer.ggml.model");
  if (!model) {
    fail(ErrorKind::kBadFile,
         "{}: expected a tokenizer (key tokenizer.ggml.model of a GGUF file, tokenizer.json or tokenizer.model in a "
         "directory), found none",
         metadata.source());
  }
  if (*model == "gpt2") return Tokenizer(make_byte_bpe(metadata, pre_rule_override));
  if (*model == "llama") return Tokenizer(make_sentencepiece(metadata, pre_rule_override));
  fail(ErrorKind::kUnsupported, "{}: tokenizer.ggml.model: expected gpt2 or llama, found '{}'", metadata.source(),
       printable(*model));
}

}  // namespace tern::text
