#include "src/engine/convert_keys.h"

#include <fmt/core.h>

#include <cstring>
#include <utility>

namespace tern::engine {
namespace {

constexpr std::string_view kFileType = "general.file_type";
constexpr std::string_view kVersion = "general.quantization_version";
constexpr std::uint64_t kQuantizationVersion = 2;  // of the block types that files have today

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kTokenTypes = "tokenizer.ggml.token_type";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::int32_t kUnused = 5;         // type of a token
constexpr float kUnlikelyScore = -1000.0f;  // no merge is worse

/// Rows of a directory's embedding beyond its tokens.
std::size_t missing_tokens(const format::Gguf& source) {
  const bool is_directory = source.version == 0;
  const format::StringArray* tokens = is_directory ? source.metadata.strings(kTokens) : nullptr;
  const format::TensorInfo* embedding = source.find("token_embd.weight");
  if (tokens == nullptr || embedding == nullptr || embedding->rows() <= tokens->size()) return 0;
  return static_cast<std::size_t>(embedding->rows()) - tokens->size();
}

/// An array of numbers with `n` more of one value.
template <typename T>
format::NumberArray extended(const format::NumberArray& from, std::size_t n, T value, Arena& arena) {
  const std::span<std::byte> bytes = arena.bytes(from.bytes.size() + n * sizeof value);
  std::memcpy(bytes.data(), from.bytes.data(), from.bytes.size());
  for (std::size_t i = 0; i < n; ++i) std::memcpy(&bytes[from.bytes.size() + i * sizeof value], &value, sizeof value);
  return {.element = from.element, .count = from.count + n, .bytes = bytes};
}

/// The value of a key with `n` more tokens, if it is a list of tokens.
format::Value with_unused_tokens(std::string_view key, format::Value value, std::size_t n, Arena& arena) {
  if (auto* texts = std::get_if<format::StringArray>(&value); texts != nullptr && key == kTokens) {
    const std::size_t n_tokens = texts->size() + n;
    while (texts->size() < n_tokens) texts->push_back(arena.keep(fmt::format("[PAD{}]", texts->size())));
  } else if (const auto* numbers = std::get_if<format::NumberArray>(&value)) {
    if (key == kTokenTypes) return extended(*numbers, n, kUnused, arena);
    if (key == kScores) return extended(*numbers, n, kUnlikelyScore, arena);
  }
  return value;
}

}  // namespace

format::Metadata make_keys(const format::Gguf& source, std::optional<std::uint64_t> file_type, Arena& arena) {
  const format::Metadata& from = source.metadata;
  const std::size_t n_unused = missing_tokens(source);
  format::Metadata keys(from.source());
  for (std::size_t i = 0; i < from.entries().size(); ++i) {
    const auto& [key, value] = from.entries()[i];
    if (key.starts_with("split.") || (key == kFileType && file_type)) continue;
    if (n_unused == 0) {
      keys.add(key, value, from.stored_type(i));
    } else {
      keys.add(key, with_unused_tokens(key, value, n_unused, arena), from.stored_type(i));
    }
  }
  if (file_type) keys.add(kFileType, *file_type);
  if (!from.contains(kVersion)) keys.add(kVersion, kQuantizationVersion);
  return keys;
}

}  // namespace tern::engine
