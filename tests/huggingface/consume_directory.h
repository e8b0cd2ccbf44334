#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "src/huggingface/config.h"
#include "src/huggingface/safetensors.h"
#include "src/huggingface/sentencepiece_model.h"
#include "src/huggingface/tensors.h"
#include "src/huggingface/tokenizer_json.h"
#include "src/text/tokenizer_factory.h"

/// Any bytes as the files of a directory, read to the end, for fuzzers and for tests that damage good files.
namespace tern::test {

inline format::Gguf empty_model() {
  return {.metadata = format::Metadata("directory"), .tensors = {}, .tensor_index = {}, .arena = {}};
}

/// As model.safetensors: every tensor is translated, and read to its last byte. Returns what was read.
inline std::size_t consume_safetensors(std::span<const std::byte> file) {
  format::Gguf model = empty_model();
  const auto tensors = huggingface::parse_safetensors(file, "model.safetensors", model.arena);
  huggingface::WeightsConfig config;
  for (const auto form : {huggingface::TernaryForm::kMasters, huggingface::TernaryForm::kPacked}) {
    const bool packed = form == huggingface::TernaryForm::kPacked;
    model.tensors.clear();
    model.tensor_index.clear();
    config.form = form;
    config.rotary_dim = 2;
    config.gemma = !packed;
    try {
      huggingface::add_tensors(tensors, config, model);
    } catch (const Error&) {
      if (packed) throw;
    }
  }
  std::size_t sum = 0;
  for (const format::TensorInfo& tensor : model.tensors) {
    for (const std::byte byte : tensor.convert ? tensor.convert(tensor) : std::vector<std::byte>{}) {
      sum += std::to_integer<std::size_t>(byte);
    }
    for (const std::byte byte : tensor.data) sum += std::to_integer<std::size_t>(byte);
  }
  return sum;
}

/// As config.json. Returns the number of keys that it gives.
inline std::size_t consume_config(std::string_view text) {
  format::Gguf model = empty_model();
  const std::string source = "config.json";
  const huggingface::Json json = huggingface::parse_json(text, source, model.arena);
  static_cast<void>(huggingface::translate_config(huggingface::Field(json, source), model));
  return model.metadata.entries().size();
}

/// Tokens of a text under a tokenizer that was translated.
inline std::size_t consume_draft(const huggingface::TokenizerDraft& draft, format::Gguf& model) {
  draft.write(model);
  const Tokenizer tokenizer = text::make_tokenizer(model.metadata, {});
  const std::vector<Token> tokens = tokenizer.encode(" the 123 \xC3\xA4\xFF<s>\n", {.add_special = true});
  return tokens.size() + tokenizer.decode(tokens, true).size();
}

/// As tokenizer.json.
inline std::size_t consume_tokenizer_json(std::string_view text) {
  format::Gguf model = empty_model();
  const std::string source = "tokenizer.json";
  const huggingface::Json json = huggingface::parse_json(text, source, model.arena);
  return consume_draft(huggingface::read_tokenizer_json(huggingface::Field(json, source), model.arena), model);
}

/// As tokenizer.model.
inline std::size_t consume_sentencepiece_model(std::span<const std::byte> file) {
  format::Gguf model = empty_model();
  return consume_draft(huggingface::read_sentencepiece_model(file, "tokenizer.model"), model);
}

}  // namespace tern::test
