#include "src/huggingface/tokenizer_files.h"

#include <algorithm>
#include <charconv>

#include "src/huggingface/sentencepiece_model.h"
#include "src/huggingface/tokenizer_json.h"

namespace tern::huggingface {
namespace {

constexpr std::uint64_t kMaxId = std::uint64_t{1} << 31;

/// A token given as a text, or as an object that holds it.
std::optional<std::string_view> token_text(const Field& field) {
  return field.is(Json::Kind::kObject) ? field["content"].text() : field.text();
}

/// One id below `n_tokens`, or a list of them.
std::vector<std::uint64_t> ids_of(const Field& field, std::size_t n_tokens) {
  constexpr std::size_t kMaxIds = 1024;
  if (!field.is(Json::Kind::kArray)) {
    const auto id = field.natural(n_tokens - 1);
    return id ? std::vector{*id} : std::vector<std::uint64_t>{};
  }
  if (field.elements().size() > kMaxIds) field.refuse(ErrorKind::kBadFile, fmt::format("at most {} ids", kMaxIds));
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < field.elements().size(); ++i) {
    const auto id = field.at(i).natural(n_tokens - 1);
    ids.push_back(*id);
  }
  return ids;
}

/// The tokens that were added to a SentencePiece model stand in other files.
void put_added_tokens(const DirectoryReader& directory, const Field& config, TokenizerDraft& draft) {
  if (const auto added = directory.read_json("added_tokens.json")) {
    const Field tokens = added->field();
    for (std::size_t i = 0; i < tokens.members().size(); ++i) {
      const std::uint64_t id = *tokens.at(i).natural(kMaxId);
      const bool is_new = id >= draft.size();
      draft.put(id, tokens.members()[i].key);
      if (is_new) draft.set_kind(id, TokenKind::kUserDefined);
    }
  }
  const Field decoder = config["added_tokens_decoder"];
  for (std::size_t i = 0; i < decoder.members().size(); ++i) {
    const std::string_view key = decoder.members()[i].key;
    std::uint64_t id = 0;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
    const auto text = token_text(decoder.at(i));
    if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || !text) {
      decoder.at(i).refuse(ErrorKind::kBadFile, "an id and a token");
    }
    if (decoder.at(i).is(Json::Kind::kObject)) check_added_token(decoder.at(i), *text);
    const bool is_new = id >= draft.size();
    draft.put(id, *text);
    const bool is_special = decoder.at(i)["special"].flag().value_or(false);
    if (is_new) draft.set_kind(id, is_special ? TokenKind::kControl : TokenKind::kUserDefined);
  }
}

TokenizerDraft read_draft(const DirectoryReader& directory, const Field& tokenizer_config) {
  if (const auto json = directory.read_json("tokenizer.json")) {
    return read_tokenizer_json(json->field(), directory.arena);
  }
  const std::string source = directory.source("tokenizer.model");
  TokenizerDraft draft = read_sentencepiece_model(directory.files.add(source).bytes(), source);
  draft.add_bos = tokenizer_config["add_bos_token"].flag().value_or(true);
  draft.add_eos = tokenizer_config["add_eos_token"].flag().value_or(false);
  const bool is_llama = tokenizer_config["tokenizer_class"].text().value_or("").starts_with("Llama");
  // What Hugging Face makes of the file for these.
  if (is_llama && tokenizer_config["legacy"].flag() == false) draft.space_prefix = "first_if_none";
  put_added_tokens(directory, tokenizer_config, draft);
  return draft;
}

/// Classes whose tokenizer_config.json decides what is put around a text, whatever tokenizer.json says.
bool config_decides(const Field& tokenizer_config) {
  const std::string_view name = tokenizer_config["tokenizer_class"].text().value_or("");
  return name.starts_with("Llama") || name.starts_with("CodeLlama") || name.starts_with("Gemma");
}

void apply_roles(const Field& tokenizer_config, TokenizerDraft& draft) {
  if (config_decides(tokenizer_config)) {
    if (const auto add = tokenizer_config["add_bos_token"].flag()) draft.add_bos = add;
    if (const auto add = tokenizer_config["add_eos_token"].flag()) draft.add_eos = add;
  }
  if (const auto text = token_text(tokenizer_config["bos_token"]); text && draft.find(*text)) {
    draft.bos = draft.find(*text);
  }
  if (const auto text = token_text(tokenizer_config["eos_token"]); text && draft.find(*text)) {
    draft.ends.insert(draft.ends.begin(), *draft.find(*text));
  }
}

/// Keeps the first of equal ids.
void remove_doubled(std::vector<std::uint64_t>& ids) {
  std::vector<std::uint64_t> once;
  for (const std::uint64_t id : ids) {
    if (std::find(once.begin(), once.end(), id) == once.end()) once.push_back(id);
  }
  ids = once;
}

/// How the model's makers sample, for those who ask; they are not what tern runs with.
void add_sampling_keys(const Field& generation, format::Metadata& metadata) {
  if (const auto temperature = generation["temperature"].number()) metadata.add("general.sampling.temp", *temperature);
  if (const auto top_p = generation["top_p"].number()) metadata.add("general.sampling.top_p", *top_p);
  if (const auto top_k = generation["top_k"].natural(kMaxId)) metadata.add("general.sampling.top_k", *top_k);
}

/// The one named `default` of several, or the only one.
std::optional<std::string_view> template_in(const Field& field) {
  if (!field.is(Json::Kind::kArray)) return field.text();
  for (std::size_t i = 0; i < field.elements().size(); ++i) {
    if (field.at(i)["name"].text() == "default") return field.at(i)["template"].text();
  }
  return std::nullopt;
}

}  // namespace

void translate_tokenizer(const DirectoryReader& directory, const Field& config, format::Gguf& model) {
  Json nothing;
  nothing.kind = Json::Kind::kObject;
  const auto tokenizer_file = directory.read_json("tokenizer_config.json");
  const auto generation_file = directory.read_json("generation_config.json");
  const std::string source = directory.path.string();
  const Field tokenizer_config = tokenizer_file ? tokenizer_file->field() : Field(nothing, source);
  const Field generation = generation_file ? generation_file->field() : Field(nothing, source);
  if (directory.has("tokenizer.json") || directory.has("tokenizer.model")) {
    TokenizerDraft draft = read_draft(directory, tokenizer_config);
    apply_roles(tokenizer_config, draft);
    if (!draft.bos) {
      if (const auto ids = ids_of(config["bos_token_id"], draft.size()); !ids.empty()) draft.bos = ids[0];
    }
    for (const Field& field : {generation["eos_token_id"], config["eos_token_id"]}) {
      const auto ids = ids_of(field, draft.size());
      draft.ends.insert(draft.ends.end(), ids.begin(), ids.end());
    }
    remove_doubled(draft.ends);
    draft.write(model);
  }
  add_sampling_keys(generation, model.metadata);
  const auto chat_template = directory.has("chat_template.jinja") ? directory.read("chat_template.jinja")
                                                                  : template_in(tokenizer_config["chat_template"]);
  if (chat_template) model.metadata.add("tokenizer.chat_template", *chat_template);
}

}  // namespace tern::huggingface
