#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tern {

/// Index into a model's vocabulary.
using Token = std::int32_t;

/// Bytes begin .. end - 1 of a text.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct EncodeOptions {
  /// Add what the model's file asks for: BOS before, EOS after.
  bool add_special = false;
  /// Recognise the text of control tokens. Only for trusted text (chat templates), never for what a user typed.
  bool parse_special = false;
  /// Where a trusted text holds what a user typed, ascending: a control token that reaches in there stays text.
  std::span<const TextRange> untrusted = {};
};

namespace text {
class TokenizerImpl;
}

/// Text to tokens and back, as the model's file describes it (tokenizer.ggml.* keys).
///
/// Threads   immutable; may be shared
/// Cost      encode is O(n log n) in the bytes of the text, whatever the text, for a given vocabulary
class Tokenizer {
 public:
  /// Reads only the tokenizer of a GGUF file, which need not have tensors, or of a Hugging Face directory.
  ///
  /// `pre_rule` overrides the pre-tokenizer rule that the file names (see pre_rules()); empty keeps the file's.
  /// Errors    Error: kIo, kBadFile, kUnsupported (unknown tokenizer model or rule), kInvalidArgument (unknown
  ///           `pre_rule`)
  [[nodiscard]] static Tokenizer open(const std::filesystem::path& path, std::string_view pre_rule = {});

  explicit Tokenizer(std::unique_ptr<const text::TokenizerImpl> impl);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Invalid UTF-8 is accepted and survives decode(encode(text)) where the vocabulary has byte tokens.
  /// Errors    Error: kInvalidArgument (2 GiB or more, or more than memory holds)
  [[nodiscard]] std::vector<Token> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// Control tokens give nothing unless `special`.
  [[nodiscard]] std::string decode(std::span<const Token> tokens, bool special = false) const;
  /// The bytes that one token stands for (may be part of a UTF-8 sequence). Out of range gives "".
  [[nodiscard]] std::string piece(Token token, bool special = false) const;

  [[nodiscard]] std::size_t vocab_size() const noexcept;  ///< tokens in the file's list
  [[nodiscard]] std::optional<Token> bos() const noexcept;
  [[nodiscard]] std::optional<Token> eos() const noexcept;
  [[nodiscard]] bool adds_bos() const noexcept;  ///< whether add_special puts BOS before a text
  /// True for every token that ends an answer (EOS, end of turn, ...).
  [[nodiscard]] bool is_stop(Token token) const noexcept;
  [[nodiscard]] bool is_control(Token token) const noexcept;
  /// True when decode() drops one space that encode() put before the first word (SentencePiece).
  [[nodiscard]] bool adds_space_prefix() const noexcept;

  [[nodiscard]] std::string_view kind() const noexcept;  ///< "byte-level BPE" or "SentencePiece BPE"
  [[nodiscard]] std::string_view pre_rule() const noexcept;
  /// Remarks for the user, one line each, such as a rule that the file left out and tern chose.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept;

  /// Names accepted as `pre_rule`.
  [[nodiscard]] static std::vector<std::string_view> pre_rules();

 private:
  std::unique_ptr<const text::TokenizerImpl> impl_;
};

/// Turns tokens into text as they arrive and never splits a UTF-8 sequence: an incomplete one is held back.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool continues_text = true)
      : tokenizer_(tokenizer), drop_space_(!continues_text && tokenizer.adds_space_prefix()) {}
  /// The text that became complete with this token; may be empty.
  [[nodiscard]] std::string push(Token token);
  /// What is still held back, incomplete as it is.
  [[nodiscard]] std::string flush();

 private:
  const Tokenizer& tokenizer_;
  bool drop_space_;  // the first piece of a text that does not continue another loses its added space
  std::string held_;
};

}  // namespace tern
