#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/format/gguf.h"
#include "src/text/tokenizer_factory.h"
#include "tern/tokenizer.h"

namespace tern::test {

/// A byte string in GPT-2's printable alphabet, as byte-level BPE files spell it.
inline std::string spell(std::string_view bytes) {
  std::string spelled;
  for (const char c : bytes) {
    const unsigned byte = static_cast<unsigned char>(c);
    // The bytes that are not printable in Latin-1, in order: 00-20, 7F-A0, AD.
    unsigned code_point = byte;
    if (byte <= 0x20) code_point = 0x100 + byte;
    if (byte >= 0x7F && byte <= 0xA0) code_point = 0x121 + (byte - 0x7F);
    if (byte == 0xAD) code_point = 0x143;
    if (code_point < 0x80) {
      spelled += static_cast<char>(code_point);
    } else {
      spelled += static_cast<char>(0xC0 | code_point >> 6);
      spelled += static_cast<char>(0x80 | (code_point & 0x3F));
    }
  }
  return spelled;
}

/// The keys of a GGUF file, whatever its tensors are. Views into `bytes`.
inline format::Gguf parse_keys(std::string_view bytes, const std::string& source) {
  const format::TensorSizer none = [](std::uint32_t, std::uint64_t, std::uint64_t) {
    format::TensorSize size;
    size.bytes = 0;
    return size;
  };
  return format::parse_gguf(std::as_bytes(std::span(bytes)), source, none);
}

inline constexpr std::uint32_t kNoTokenId = 0xFFFFFFFF;  // how files write "no such token"

/// The tokenizer keys of a file, built in memory. Setting a key again replaces it. A copy must not outlive its
/// original, which keeps the texts.
class TokenizerFile {
 public:
  void set(std::string_view key, std::string_view text) { put(key, format::Value(keep(text))); }
  void set(std::string_view key, bool flag) { put(key, format::Value(flag)); }
  void set(std::string_view key, int number) { put(key, format::Value(static_cast<std::uint64_t>(number))); }
  void set(std::string_view key, std::uint32_t number) { put(key, format::Value(std::uint64_t{number})); }
  void set(std::string_view key, const char* text) { set(key, std::string_view(text)); }
  void set(std::string_view key, const std::vector<std::string>& texts) {
    format::StringArray array;
    for (const std::string& text : texts) array.push_back(keep(text));
    put(key, format::Value(std::move(array)));
  }
  void set(std::string_view key, const std::vector<float>& numbers) {
    set_numbers(key, numbers, format::ValueType::kF32);
  }
  void set(std::string_view key, const std::vector<std::int32_t>& numbers) {
    set_numbers(key, numbers, format::ValueType::kI32);
  }
  void remove(std::string_view key) {
    std::erase_if(entries_, [&](const auto& entry) { return entry.first == key; });
  }

  [[nodiscard]] format::Metadata metadata() const {
    format::Metadata metadata("memory.gguf");
    for (const auto& [key, value] : entries_) metadata.add(key, value);
    return metadata;
  }
  [[nodiscard]] Tokenizer tokenizer(std::string_view pre_rule = {}) const {
    return text::make_tokenizer(metadata(), pre_rule);
  }

 private:
  std::string_view keep(std::string_view text) { return storage_.emplace_back(text); }
  void put(std::string_view key, format::Value value) {
    remove(key);
    entries_.emplace_back(key, std::move(value));
  }
  template <typename T>
  void set_numbers(std::string_view key, const std::vector<T>& numbers, format::ValueType type) {
    std::string bytes(numbers.size() * sizeof(T), '\0');
    if (!numbers.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
    const std::string_view kept = keep(bytes);
    put(key, format::NumberArray{type, numbers.size(), std::as_bytes(std::span(kept.data(), kept.size()))});
  }

  std::deque<std::string> storage_;
  std::vector<std::pair<std::string, format::Value>> entries_;
};

// Token types of the files.
inline constexpr std::int32_t kNormal = 1;
inline constexpr std::int32_t kUnknown = 2;
inline constexpr std::int32_t kControl = 3;
inline constexpr std::int32_t kUserDefined = 4;
inline constexpr std::int32_t kByte = 6;

struct TypedToken {
  std::string text;
  std::int32_t type = kNormal;
  float score = 0;
};

inline void set_tokens(TokenizerFile& file, const std::vector<TypedToken>& tokens) {
  std::vector<std::string> texts;
  std::vector<std::int32_t> types;
  std::vector<float> scores;
  for (const TypedToken& token : tokens) {
    texts.push_back(token.text);
    types.push_back(token.type);
    scores.push_back(token.score);
  }
  file.set("tokenizer.ggml.tokens", texts);
  file.set("tokenizer.ggml.token_type", types);
  file.set("tokenizer.ggml.scores", scores);
}

/// The 256 bytes as tokens 0 to 255, in order of the bytes.
inline std::vector<TypedToken> byte_level_tokens() {
  std::vector<TypedToken> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.push_back({spell(std::string(1, static_cast<char>(byte)))});
  return tokens;
}

/// A byte-level BPE file: the bytes, then what each merge makes, then `more`. Merges are given in plain bytes.
inline TokenizerFile byte_level_file(const std::vector<std::pair<std::string, std::string>>& merges,
                                     const std::vector<TypedToken>& more = {}) {
  std::vector<TypedToken> tokens = byte_level_tokens();
  std::vector<std::string> lines;
  for (const auto& [left, right] : merges) {
    tokens.push_back({spell(left + right)});
    lines.push_back(spell(left) + " " + spell(right));
  }
  tokens.insert(tokens.end(), more.begin(), more.end());
  TokenizerFile file;
  file.set("tokenizer.ggml.model", "gpt2");
  file.set("tokenizer.ggml.pre", "gpt-2");
  set_tokens(file, tokens);
  file.set("tokenizer.ggml.merges", lines);
  return file;
}

/// A SentencePiece file: <unk> <s> </s>, the 256 byte tokens (3 to 258), then `more`.
inline TokenizerFile sentencepiece_file(const std::vector<TypedToken>& more) {
  std::vector<TypedToken> tokens = {{"<unk>", kUnknown}, {"<s>", kControl}, {"</s>", kControl}};
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (std::size_t byte = 0; byte < 256; ++byte) {
    tokens.push_back({std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">", kByte});
  }
  tokens.insert(tokens.end(), more.begin(), more.end());
  TokenizerFile file;
  file.set("tokenizer.ggml.model", "llama");
  set_tokens(file, tokens);
  return file;
}

}  // namespace tern::test
