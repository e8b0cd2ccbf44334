#include "src/huggingface/tokenizer_draft.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "src/base/check.h"
#include "src/base/printable.h"

namespace tern::huggingface {
namespace {

constexpr std::uint64_t kMaxTokens = std::uint64_t{1} << 22;
// Each becomes a token with a text of its own: a few bytes of a file must not ask for millions of them.
constexpr std::ptrdiff_t kMaxUnusedIds = 1 << 16;

/// A copy of numbers, as the value of a key.
template <typename T>
format::NumberArray keep_numbers(const std::vector<T>& numbers, format::ValueType type, Arena& arena) {
  const std::span<std::byte> bytes = arena.bytes(numbers.size() * sizeof(T));
  if (!numbers.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return {type, numbers.size(), bytes};
}

}  // namespace

void TokenizerDraft::put(std::uint64_t id, std::string_view text) {
  if (id >= kMaxTokens) {
    fail(ErrorKind::kBadFile, "{}: token '{}': expected an id below {}, found {}", source_, printable(text), kMaxTokens,
         id);
  }
  if (id >= texts_.size()) {
    texts_.resize(id + 1);
    kinds_.resize(id + 1, TokenKind::kUnused);
    scores_.resize(id + 1, 0.0f);
  }
  const bool known = texts_[id] == text;
  if (texts_[id] && !known) {
    fail(ErrorKind::kBadFile, "{}: token {}: expected one text, found '{}' and '{}'", source_, id,
         printable(*texts_[id]), printable(text));
  }
  if (known) return;
  // Of two tokens with one text the first is found.
  ids_.emplace(text, id);
  texts_[id] = text;
  kinds_[id] = TokenKind::kNormal;
}

std::optional<std::uint64_t> TokenizerDraft::find(std::string_view text) const {
  const auto found = ids_.find(text);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

void TokenizerDraft::check_unused_ids() const {
  const std::ptrdiff_t n_unused = std::ranges::count(texts_, false, &std::optional<std::string_view>::has_value);
  if (n_unused > kMaxUnusedIds) {
    fail(ErrorKind::kBadFile, "{}: expected at most {} ids without a token, found {} below {}", source_, kMaxUnusedIds,
         n_unused, texts_.size());
  }
}

void TokenizerDraft::write(format::Gguf& model) const {
  check_unused_ids();
  format::Metadata& metadata = model.metadata;
  format::StringArray texts;
  std::vector<std::int32_t> kinds;
  for (std::size_t id = 0; id < texts_.size(); ++id) {
    texts.push_back(texts_[id] ? *texts_[id] : model.arena.keep(fmt::format("[UNUSED{}]", id)));
    kinds.push_back(static_cast<std::int32_t>(kinds_[id]));
  }
  metadata.add("tokenizer.ggml.model", kind);
  metadata.add("tokenizer.ggml.tokens", std::move(texts));
  metadata.add("tokenizer.ggml.token_type", keep_numbers(kinds, format::ValueType::kI32, model.arena));
  if (kind == "llama") {
    metadata.add("tokenizer.ggml.scores", keep_numbers(scores_, format::ValueType::kF32, model.arena));
  } else {
    metadata.add("tokenizer.ggml.merges", format::StringArray(merges));
  }
  if (!pre_rule.empty()) metadata.add("tokenizer.ggml.pre", pre_rule);
  if (!space_prefix.empty()) metadata.add("tern.tokenizer.space_prefix", space_prefix);
  const auto add_if = [&](std::string_view key, const auto& value) {
    if (value) metadata.add(key, *value);
  };
  add_if("tokenizer.ggml.ignore_merges", ignore_merges);
  add_if("tokenizer.ggml.add_space_prefix", add_space_prefix);
  add_if("tokenizer.ggml.add_bos_token", add_bos);
  add_if("tokenizer.ggml.add_eos_token", add_eos);
  add_if("tokenizer.ggml.bos_token_id", bos);
  add_if("tokenizer.ggml.unknown_token_id", unknown);
  if (ends.empty()) return;
  metadata.add("tokenizer.ggml.eos_token_id", ends[0]);
  const std::vector<std::int64_t> all(ends.begin(), ends.end());
  metadata.add("tokenizer.ggml.eos_token_ids", keep_numbers(all, format::ValueType::kI64, model.arena));
}

}  // namespace tern::huggingface
