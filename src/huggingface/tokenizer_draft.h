#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/base/text_hash.h"
#include "src/format/gguf.h"

namespace tern::huggingface {

/// GGUF's numbers for kinds of tokens.
enum class TokenKind : std::int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// A tokenizer as it is gathered from the files of a directory. Texts lie in the model's arena.
class TokenizerDraft {
 public:
  explicit TokenizerDraft(std::string source) : source_(std::move(source)) {}

  std::string_view kind = "gpt2";  // tokenizer.ggml.model: gpt2 (byte-level BPE) or llama (SentencePiece)
  std::string_view pre_rule = {};  // gpt2; a rule's name, or what the file says where there is no rule for it
  std::optional<bool> ignore_merges = {};
  std::optional<bool> add_space_prefix = {};
  std::string_view space_prefix = {};         // llama; tern.tokenizer.space_prefix
  std::vector<std::string_view> merges = {};  // gpt2
  std::optional<bool> add_bos = {};
  std::optional<bool> add_eos = {};
  std::optional<std::uint64_t> bos = {};
  std::optional<std::uint64_t> unknown = {};
  std::vector<std::uint64_t> ends = {};  // EOS first, then what else ends an answer

  /// Adds a token; the same one twice is fine, as long as no other has its id or its text.
  /// Errors    Error(kBadFile)
  void put(std::uint64_t id, std::string_view text);
  /// Expects so many tokens.
  void reserve(std::size_t n) { ids_.reserve(n); }
  void set_kind(std::uint64_t id, TokenKind token_kind) { kinds_.at(id) = token_kind; }
  void set_score(std::uint64_t id, float score) { scores_.at(id) = score; }

  [[nodiscard]] std::optional<std::uint64_t> find(std::string_view text) const;
  [[nodiscard]] std::size_t size() const noexcept { return texts_.size(); }
  [[nodiscard]] std::string_view text(std::uint64_t id) const { return texts_.at(id).value_or(std::string_view()); }
  [[nodiscard]] TokenKind token_kind(std::uint64_t id) const { return kinds_.at(id); }
  /// The file of the vocabulary, for messages.
  [[nodiscard]] const std::string& source() const noexcept { return source_; }

  /// Adds all of it to `model` as tokenizer.ggml.* keys. An id that no token has becomes one that is never used.
  /// Errors    Error(kBadFile): more such ids than any published tokenizer has
  void write(format::Gguf& model) const;

 private:
  void check_unused_ids() const;

  std::string source_;
  std::vector<std::optional<std::string_view>> texts_;  // by id
  std::vector<TokenKind> kinds_;
  std::vector<float> scores_;
  std::unordered_map<std::string_view, std::uint64_t, TextHash> ids_;
};

}  // namespace tern::huggingface
