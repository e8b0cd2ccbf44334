// Tokenizers as the files of a directory hold them.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "hf_directory.h"

namespace tern::test {
namespace {

using Json = nlohmann::ordered_json;

std::string key(const char* name) { return std::string("tokenizer.ggml.") + name; }

std::vector<std::int64_t> token_types(const format::Metadata& metadata) {
  const format::NumberArray* types = metadata.numbers(key("token_type"));
  std::vector<std::int64_t> list(metadata.strings(key("tokens"))->size(), 1);
  for (std::size_t i = 0; types != nullptr && i < list.size(); ++i) list[i] = types->integer(i);
  return list;
}

Json merge_of(std::string_view left, std::string_view right, bool as_list) {
  if (as_list) return Json::array({left, right});
  return std::string(left) + " " + std::string(right);
}

/// Every way to make a token of two others, tokens of the highest score first.
Json merges_from_scores(const format::Metadata& metadata, bool as_lists) {
  const format::StringArray& tokens = *metadata.strings(key("tokens"));
  const format::NumberArray& scores = *metadata.numbers(key("scores"));
  const std::vector<std::int64_t> types = token_types(metadata);
  std::unordered_map<std::string_view, std::size_t> normal;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (types[i] != 1) continue;
    normal.emplace(tokens[i], i);
    order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return scores.number(a) > scores.number(b); });
  Json merges = Json::array();
  for (const std::size_t i : order) {
    for (std::size_t at = 1; at < tokens[i].size(); ++at) {
      const std::string_view left = tokens[i].substr(0, at), right = tokens[i].substr(at);
      if (normal.contains(left) && normal.contains(right)) merges.push_back(merge_of(left, right, as_lists));
    }
  }
  return merges;
}

Json byte_level_merges(const format::Metadata& metadata, bool as_lists) {
  Json merges = Json::array();
  for (const std::string_view merge : *metadata.strings(key("merges"))) {
    const std::size_t space = merge.find(' ', 1);
    merges.push_back(merge_of(merge.substr(0, space), merge.substr(space + 1), as_lists));
  }
  return merges;
}

/// The published patterns, by rule.
Json byte_level_steps(std::string_view rule) {
  const std::string contractions = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)";
  const std::string rest = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const bool is_gpt2 = rule == "gpt-2";
  Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", is_gpt2}};
  if (is_gpt2) return bytes;
  const std::string digits = rule == "qwen2" ? R"(\p{N})" : R"(\p{N}{1,3})";
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", contractions + digits + rest}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}};
}

Json added_tokens(const format::Metadata& metadata) {
  const format::StringArray& tokens = *metadata.strings(key("tokens"));
  const std::vector<std::int64_t> types = token_types(metadata);
  Json added = Json::array();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool is_special = types[i] == 2 || types[i] == 3;
    if (is_special || types[i] == 4) added.push_back({{"id", i}, {"content", tokens[i]}, {"special", is_special}});
  }
  return added;
}

Json vocabulary_of(const format::Metadata& metadata) {
  const format::StringArray& tokens = *metadata.strings(key("tokens"));
  Json json = Json::object();
  auto& members = json.get_ref<Json::object_t&>();
  // As elements of a list: ordered_json would search all that came before for each.
  for (std::size_t i = 0; i < tokens.size(); ++i) members.Container::emplace_back(std::string(tokens[i]), i);
  return json;
}

Json bos_template(const std::string& bos) {
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({{{"SpecialToken", {{"id", bos}, {"type_id", 0}}}},
                                  {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}})}};
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void append_message(std::string& out, unsigned number, std::string_view message) {
  append_varint(out, number << 3 | 2);
  append_varint(out, message.size());
  out += message;
}

void append_number(std::string& out, unsigned number, std::uint64_t value) {
  append_varint(out, number << 3);
  append_varint(out, value);
}

}  // namespace

std::string tokenizer_json(const format::Metadata& metadata, bool merges_as_lists) {
  const bool byte_level = metadata.string(key("model")) == "gpt2";
  const format::StringArray& tokens = *metadata.strings(key("tokens"));
  Json json = {{"version", "1.0"}, {"added_tokens", added_tokens(metadata)}, {"normalizer", nullptr}};
  Json model = {{"type", "BPE"}, {"dropout", nullptr}, {"byte_fallback", !byte_level}};
  if (byte_level) {
    const std::string_view rule = metadata.string(key("pre")).value_or("gpt-2");
    json["pre_tokenizer"] = byte_level_steps(rule);
    model["ignore_merges"] = rule.starts_with("llama");
    model["merges"] = byte_level_merges(metadata, merges_as_lists);
  } else {
    const char* mark = "\xE2\x96\x81";
    json["normalizer"] = {
        {"type", "Sequence"},
        {"normalizers", Json::array({{{"type", "Prepend"}, {"prepend", mark}},
                                     {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", mark}}})}};
    json["pre_tokenizer"] = nullptr;
    model["unk_token"] = tokens[*metadata.integer(key("unknown_token_id"), tokens.size())];
    model["merges"] = merges_from_scores(metadata, merges_as_lists);
  }
  model["vocab"] = vocabulary_of(metadata);
  json["model"] = std::move(model);
  json["post_processor"] = nullptr;
  const auto bos = metadata.integer(key("bos_token_id"), tokens.size());
  if (bos && metadata.boolean(key("add_bos_token")).value_or(!byte_level)) {
    json["post_processor"] = bos_template(std::string(tokens[*bos]));
  }
  return json.dump();
}

std::string sentencepiece_model(const format::Metadata& metadata) {
  const format::StringArray& tokens = *metadata.strings(key("tokens"));
  const std::vector<std::int64_t> types = token_types(metadata);
  std::string model;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::string piece;
    append_message(piece, 1, tokens[i]);
    append_varint(piece, 2 << 3 | 5);
    const auto score = static_cast<float>(metadata.numbers(key("scores"))->number(i));
    piece.append(reinterpret_cast<const char*>(&score), sizeof score);
    if (types[i] != 1) append_number(piece, 3, static_cast<std::uint64_t>(types[i]));
    append_message(model, 1, piece);
  }
  std::string normalizer;
  append_number(normalizer, 4, 0);  // spaces stay as they are
  append_message(model, 3, normalizer);
  std::string trainer;
  append_number(trainer, 3, 2);                   // BPE
  append_number(trainer, 43, ~std::uint64_t{0});  // no padding
  append_message(model, 2, trainer);
  return model;
}

}  // namespace tern::test
