#include "src/text/special_tokens.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "src/base/check.h"

namespace tern::text {
namespace {

// Files write "no such token" as the largest u32 (-1).
constexpr std::uint64_t kNoId = std::numeric_limits<std::uint32_t>::max();

// Next to EOS.
constexpr std::array<std::string_view, 5> kStopKeys = {
    "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id", "tokenizer.ggml.fim_pad_token_id",
    "tokenizer.ggml.fim_rep_token_id", "tokenizer.ggml.fim_sep_token_id"};

// Ends of a text, a turn or a message in the chat formats of the model families.
constexpr std::array<std::string_view, 15> kStopTexts = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>",          "</s>",
    "<eos>",      "_<EOT>",     "[EOT]",   "[EOS]",         "<|return|>",    "<|call|>",   "<|end_of_text|>"};

void check_array(const format::Metadata& metadata, std::string_view key, const format::NumberArray& array,
                 format::ValueType element, std::size_t count) {
  if (array.element == element && array.count == count) return;
  fail(ErrorKind::kBadFile, "{}: {}: expected {} elements of {}, one a token, found {} of {}", metadata.source(), key,
       count, to_string(element), array.count, to_string(array.element));
}

std::vector<TokenType> read_types(const format::Metadata& metadata, std::size_t n_tokens) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  std::vector<TokenType> types(n_tokens, TokenType::kNormal);
  const format::NumberArray* numbers = metadata.numbers(kKey);
  if (numbers == nullptr) return types;
  check_array(metadata, kKey, *numbers, format::ValueType::kI32, n_tokens);
  for (std::size_t i = 0; i < n_tokens; ++i) {
    const std::int64_t type = numbers->integer(i);
    if (type < 0 || type > static_cast<std::int64_t>(TokenType::kByte)) {
      fail(ErrorKind::kBadFile, "{}: {}: token {}: expected a type from 0 to 6, found {}", metadata.source(), kKey, i,
           type);
    }
    types[i] = static_cast<TokenType>(type);
  }
  return types;
}

const format::NumberArray* read_scores(const format::Metadata& metadata, std::size_t n_tokens) {
  constexpr std::string_view kKey = "tokenizer.ggml.scores";
  const format::NumberArray* scores = metadata.numbers(kKey);
  if (scores == nullptr) return nullptr;
  check_array(metadata, kKey, *scores, format::ValueType::kF32, n_tokens);
  for (std::size_t i = 0; i < n_tokens; ++i) {
    if (std::isnan(scores->number(i))) {
      fail(ErrorKind::kBadFile, "{}: {}: token {}: expected a number, found NaN", metadata.source(), kKey, i);
    }
  }
  return scores;
}

std::optional<Token> read_id(const format::Metadata& metadata, std::string_view key, std::size_t n_tokens,
                             std::optional<Token> otherwise) {
  const auto id = metadata.integer(key, kNoId);
  if (!id) return otherwise && static_cast<std::size_t>(*otherwise) < n_tokens ? otherwise : std::nullopt;
  if (*id == kNoId) return std::nullopt;
  if (*id >= n_tokens) {
    fail(ErrorKind::kBadFile, "{}: {}: expected an id below {}, the number of tokens, found {}", metadata.source(), key,
         n_tokens, *id);
  }
  return static_cast<Token>(*id);
}

/// All tokens that end a text, where there are several; a key of our own, for models that did not come in GGUF.
void read_more_ends(const format::Metadata& metadata, std::size_t n_tokens, std::vector<Token>& stops) {
  constexpr std::string_view kKey = "tokenizer.ggml.eos_token_ids";
  const format::NumberArray* ids = metadata.numbers(kKey);
  if (ids == nullptr) return;
  check_array(metadata, kKey, *ids, format::ValueType::kI64, ids->count);
  for (std::size_t i = 0; i < ids->count; ++i) {
    const std::int64_t id = ids->integer(i);
    if (id < 0 || static_cast<std::uint64_t>(id) >= n_tokens) {
      fail(ErrorKind::kBadFile, "{}: {}: expected ids below {}, the number of tokens, found {}", metadata.source(),
           kKey, n_tokens, id);
    }
    stops.push_back(static_cast<Token>(id));
  }
}

}  // namespace

TokenTable read_token_table(const format::Metadata& metadata) {
  const format::StringArray* texts = metadata.strings("tokenizer.ggml.tokens");
  if (texts == nullptr || texts->empty()) {
    fail(ErrorKind::kBadFile, "{}: tokenizer.ggml.tokens: expected a list of tokens, found none", metadata.source());
  }
  return {*texts, read_scores(metadata, texts->size()), read_types(metadata, texts->size())};
}

SpecialTokens read_special_tokens(const format::Metadata& metadata, TokenTable& table, SpecialTokens defaults) {
  const std::size_t n_tokens = table.texts.size();
  SpecialTokens special;
  special.bos = read_id(metadata, "tokenizer.ggml.bos_token_id", n_tokens, defaults.bos);
  special.eos = read_id(metadata, "tokenizer.ggml.eos_token_id", n_tokens, defaults.eos);
  special.unknown = read_id(metadata, "tokenizer.ggml.unknown_token_id", n_tokens, defaults.unknown);
  special.add_bos = metadata.boolean("tokenizer.ggml.add_bos_token").value_or(defaults.add_bos);
  special.add_eos = metadata.boolean("tokenizer.ggml.add_eos_token").value_or(defaults.add_eos);

  if (special.eos) special.stops.push_back(*special.eos);
  read_more_ends(metadata, n_tokens, special.stops);
  for (const std::string_view key : kStopKeys) {
    if (const auto id = read_id(metadata, key, n_tokens, std::nullopt)) special.stops.push_back(*id);
  }
  for (std::size_t i = 0; i < n_tokens; ++i) {
    const std::string_view text = table.texts[i];
    if (std::find(kStopTexts.begin(), kStopTexts.end(), text) == kStopTexts.end()) continue;
    special.stops.push_back(static_cast<Token>(i));
  }
  std::sort(special.stops.begin(), special.stops.end());
  special.stops.erase(std::unique(special.stops.begin(), special.stops.end()), special.stops.end());

  for (const Token token : special.stops) table.types[static_cast<std::size_t>(token)] = TokenType::kControl;
  if (special.bos) table.types[static_cast<std::size_t>(*special.bos)] = TokenType::kControl;
  return special;
}

}  // namespace tern::text
