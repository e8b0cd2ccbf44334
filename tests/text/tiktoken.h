#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizer_file.h"

namespace tern::test {

inline std::string from_base64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  unsigned n_bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<unsigned>(kAlphabet.find(c));
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes += static_cast<char>(bits >> n_bits & 0xFF);
  }
  return bytes;
}

/// The tokens of a tiktoken rank file (lines of base64 and rank), in rank order.
inline std::vector<std::string> parse_tiktoken(std::string_view content) {
  std::vector<std::string> tokens;
  while (!content.empty()) {
    const std::string_view line = content.substr(0, content.find('\n'));
    content.remove_prefix(line.size() < content.size() ? line.size() + 1 : content.size());
    if (!line.empty()) tokens.push_back(from_base64(line.substr(0, line.find(' '))));
  }
  return tokens;
}

/// A byte-level BPE file with Llama 3's special tokens after the tokens of a rank file.
inline TokenizerFile llama3_file(std::string_view tiktoken_content) {
  const std::vector<std::string> ranked = parse_tiktoken(tiktoken_content);
  std::unordered_map<std::string, std::size_t> ranks;
  for (std::size_t i = 0; i < ranked.size(); ++i) ranks.emplace(ranked[i], i);
  std::vector<TypedToken> tokens;
  std::vector<std::string> merges;
  for (const std::string& token : ranked) {
    tokens.push_back({spell(token)});
    // Like the published files: every way to split a token into two tokens is a merge, in the order of their ranks.
    std::vector<std::pair<std::size_t, std::size_t>> splits;
    for (std::size_t i = 1; i < token.size(); ++i) {
      const auto left = ranks.find(token.substr(0, i));
      const auto right = ranks.find(token.substr(i));
      if (left != ranks.end() && right != ranks.end()) splits.emplace_back(left->second, right->second);
    }
    std::sort(splits.begin(), splits.end());
    for (const auto& [left, right] : splits) merges.push_back(spell(ranked[left]) + " " + spell(ranked[right]));
  }
  std::vector<std::string> special = {"<|begin_of_text|>",
                                      "<|end_of_text|>",
                                      "<|reserved_special_token_0|>",
                                      "<|reserved_special_token_1|>",
                                      "<|finetune_right_pad_id|>",
                                      "<|step_id|>",
                                      "<|start_header_id|>",
                                      "<|end_header_id|>",
                                      "<|eom_id|>",
                                      "<|eot_id|>",
                                      "<|python_tag|>"};
  for (int i = 2; special.size() < 256; ++i) special.push_back("<|reserved_special_token_" + std::to_string(i) + "|>");
  for (const std::string& text : special) tokens.push_back({text, kControl});
  TokenizerFile file;
  file.set("tokenizer.ggml.model", "gpt2");
  file.set("tokenizer.ggml.pre", "llama-bpe");
  set_tokens(file, tokens);
  file.set("tokenizer.ggml.merges", merges);
  file.set("tokenizer.ggml.bos_token_id", 128000);
  file.set("tokenizer.ggml.eos_token_id", 128001);
  return file;
}

}  // namespace tern::test
