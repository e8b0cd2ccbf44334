#include "src/huggingface/tokenizer_json.h"

#include <algorithm>
#include <utility>

#include "src/base/printable.h"

// A tokenizer.json is a pipeline: added tokens are cut out of the text, then a normalizer, a pre-tokenizer, the model,
// and a post-processor. It can say far more than GGUF: what amounts to a known rule is translated, and the rest
// refused.
namespace tern::huggingface {
namespace {

constexpr std::uint64_t kMaxId = std::uint64_t{1} << 31;
constexpr std::size_t kMaxMergedBytes = 512;             // of a token that merging makes; published ones have a tenth
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581, how SentencePiece spells a space

// --- steps ----------------------------------------------------------------------------------------------------

/// A step, or those that a Sequence of them holds under `list_key`; none when there is none.
std::vector<Field> steps_of(const Field& step, std::string_view list_key) {
  if (!step.exists()) return {};
  if (step["type"].text() != "Sequence") return {step};
  const Field list = step[list_key];
  std::vector<Field> steps;
  for (std::size_t i = 0; i < list.elements().size(); ++i) steps.push_back(list.at(i));
  return steps;
}

std::string_view type_of(const Field& step) {
  const auto type = step["type"].text();
  if (!type) step["type"].refuse(ErrorKind::kBadFile, "a text");
  return *type;
}

// The published patterns of the rules, each followed by ByteLevel.
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// A step of the pre-tokenizer in a few words; different steps have different words.
std::string describe_step(const Field& step) {
  const std::string_view type = type_of(step);
  if (type == "ByteLevel") return step["use_regex"].flag().value_or(true) ? "ByteLevel(regex)" : "ByteLevel";
  if (type == "Digits") return step["individual_digits"].flag().value_or(false) ? "Digits(individual)" : "Digits";
  const std::string behavior(step["behavior"].text().value_or(""));
  if (type == "Punctuation") return "Punctuation(" + behavior + ")";
  if (type != "Split") return std::string(type);
  const Field pattern = step["pattern"];
  const bool is_regex = pattern["Regex"].exists();
  std::string text(pattern[is_regex ? "Regex" : "String"].text().value_or(""));
  if (is_regex && behavior == "Isolated" && !step["invert"].flag().value_or(false)) return text;
  return fmt::format("Split({}, {})", text, behavior);
}

/// The rule that a pre-tokenizer amounts to; its description where we know of none.
std::string_view name_rule(const std::vector<Field>& steps, Arena& arena) {
  std::string description;
  for (const Field& step : steps) description += (description.empty() ? "" : " > ") + describe_step(step);
  const std::pair<std::string, std::string_view> known[] = {
      {std::string(kLlama3Pattern) + " > ByteLevel", "llama3"},
      {std::string(kQwen2Pattern) + " > ByteLevel", "qwen2"},
      {std::string(kGpt2Pattern) + " > ByteLevel", "gpt-2"},
      {"ByteLevel(regex)", "gpt-2"},
      {"Punctuation(Contiguous) > ByteLevel(regex) > Digits > [0-9][0-9][0-9]", "falcon"},
  };
  for (const auto& [pattern, rule] : known) {
    if (description == pattern) return rule;
  }
  return arena.keep(description);
}

void read_byte_level_steps(const Field& json, const std::vector<Field>& pre_steps, Arena& arena,
                           TokenizerDraft& draft) {
  for (const Field& step : steps_of(json["normalizer"], "normalizers")) {
    // Composed characters (NFC) are what texts have anyway, nearly always.
    if (type_of(step) != "NFC") step["type"].refuse(ErrorKind::kUnsupported, "no normalizer, or NFC");
  }
  for (const Field& step : pre_steps) {
    if (type_of(step) == "ByteLevel" && step["add_prefix_space"].flag().value_or(true)) {
      step["add_prefix_space"].refuse(ErrorKind::kUnsupported, "false");
    }
  }
  draft.kind = "gpt2";
  draft.pre_rule = name_rule(pre_steps, arena);
  draft.ignore_merges = json["model"]["ignore_merges"].flag().value_or(false);
}

/// Metaspace marks spaces, and puts one before a part of the text that has none, or before the first part only.
void read_metaspace(const Field& step, TokenizerDraft& draft) {
  const std::string_view scheme = step["prepend_scheme"].text().value_or("always");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    step["prepend_scheme"].refuse(ErrorKind::kUnsupported, "one of always, first, never");
  }
  if (scheme == "never" || step["add_prefix_space"].flag() == false) return;
  if (*draft.add_space_prefix) return;  // it is there before
  draft.add_space_prefix = true;
  draft.space_prefix = scheme == "first" ? "first_if_none" : "if_none";
}

/// Spaces become U+2581, and one may be put before the text: by a normalizer, or by the pre-tokenizer Metaspace.
void read_sentencepiece_steps(const Field& json, const std::vector<Field>& pre_steps, TokenizerDraft& draft) {
  bool marks_spaces = false;
  draft.kind = "llama";
  draft.add_space_prefix = false;
  for (const Field& step : steps_of(json["normalizer"], "normalizers")) {
    const bool replaces = type_of(step) == "Replace" && step["pattern"]["String"].text() == " ";
    if (replaces && step["content"].text() == kSpaceMark) {
      marks_spaces = true;
    } else if (type_of(step) == "Prepend" && step["prepend"].text() == kSpaceMark) {
      draft.add_space_prefix = true;
    } else {
      step["type"].refuse(ErrorKind::kUnsupported, "Prepend or Replace, as for SentencePiece");
    }
  }
  for (const Field& step : pre_steps) {
    const bool is_metaspace =
        type_of(step) == "Metaspace" && step["replacement"].text().value_or(kSpaceMark) == kSpaceMark;
    const bool splits_spaces = type_of(step) == "Split" && step["pattern"]["String"].text() == " ";
    if (splits_spaces && marks_spaces) continue;  // finds none: they have become marks
    if (!is_metaspace) step["type"].refuse(ErrorKind::kUnsupported, "ByteLevel or Metaspace");
    marks_spaces = true;
    read_metaspace(step, draft);
  }
  if (!marks_spaces) json["pre_tokenizer"].refuse(ErrorKind::kUnsupported, "ByteLevel, or spaces spelled U+2581");
}

// --- tokens ---------------------------------------------------------------------------------------------------

void read_vocabulary(const Field& model, TokenizerDraft& draft) {
  const Field vocabulary = model["vocab"];
  if (vocabulary.members().empty()) vocabulary.refuse(ErrorKind::kBadFile, "an object of tokens and their ids");
  const bool has_bytes = draft.kind == "llama" && model["byte_fallback"].flag().value_or(false);
  draft.reserve(vocabulary.members().size());
  for (std::size_t i = 0; i < vocabulary.members().size(); ++i) {
    const Json& token = vocabulary.members()[i];
    const std::string_view text = token.key;
    // A field has a name, which takes longer to make than all the rest.
    const bool plain = token.kind == Json::Kind::kInteger && token.integer >= 0;
    const std::uint64_t id = plain ? static_cast<std::uint64_t>(token.integer) : *vocabulary.at(i).natural(kMaxId);
    draft.put(id, text);
    const bool is_byte = has_bytes && text.size() == 6 && text.starts_with("<0x") && text.ends_with(">");
    if (is_byte) draft.set_kind(id, TokenKind::kByte);
  }
}

/// Metaspace may cut a text before every mark. That changes nothing where tokens have a mark at their begin only.
void check_splits(const std::vector<Field>& pre_steps, const TokenizerDraft& draft) {
  for (const Field& step : pre_steps) {
    if (type_of(step) != "Metaspace" || !step["split"].flag().value_or(true)) continue;
    for (std::uint64_t id = 0; id < draft.size(); ++id) {
      const std::string_view text = draft.text(id);
      if (draft.token_kind(id) != TokenKind::kNormal || text.find(kSpaceMark, 1) == std::string_view::npos) continue;
      step["split"].refuse(ErrorKind::kUnsupported, fmt::format("false, for token '{}'", printable(text)));
    }
  }
}

void read_added_tokens(const Field& json, TokenizerDraft& draft) {
  const Field added = json["added_tokens"];
  for (std::size_t i = 0; i < added.elements().size(); ++i) {
    const Field token = added.at(i);
    const auto text = token["content"].text();
    const auto id = token["id"].natural(kMaxId);
    if (!text || !id) token.refuse(ErrorKind::kBadFile, "an object with content and id");
    check_added_token(token, *text);
    draft.put(*id, *text);
    const bool is_special = token["special"].flag().value_or(false);
    draft.set_kind(*id, is_special ? TokenKind::kControl : TokenKind::kUserDefined);
  }
  if (const auto unknown = json["model"]["unk_token"].text()) {
    draft.unknown = draft.find(*unknown);
    if (draft.unknown) draft.set_kind(*draft.unknown, TokenKind::kUnknown);
  }
}

// --- merges ---------------------------------------------------------------------------------------------------

struct MergeTexts {
  std::string_view left;
  std::string_view right;
};

/// Merge `i` of a list: ["a", "b"], or "a b" in older files.
MergeTexts read_merge(const Field& merges, std::size_t i) {
  const Json& merge = merges.elements()[i];
  const auto is_text = [](const Json& item) { return item.kind == Json::Kind::kText; };
  if (merge.kind == Json::Kind::kArray && merge.items.size() == 2 && is_text(merge.items[0]) &&
      is_text(merge.items[1])) {
    return {merge.items[0].text, merge.items[1].text};
  }
  const std::size_t space = merge.text.empty() ? std::string_view::npos : merge.text.find(' ', 1);
  if (space == std::string_view::npos) {
    merges.at(i).refuse(ErrorKind::kBadFile, "two texts with a space between, or a list of 2");
  }
  return {merge.text.substr(0, space), merge.text.substr(space + 1)};
}

void read_byte_level_merges(const Field& merges, Arena& arena, TokenizerDraft& draft) {
  for (std::size_t i = 0; i < merges.elements().size(); ++i) {
    if (const Json& merge = merges.elements()[i]; merge.kind == Json::Kind::kText) {
      draft.merges.push_back(merge.text);
      continue;
    }
    const auto [left, right] = read_merge(merges, i);
    draft.merges.push_back(arena.keep(fmt::format("{} {}", left, right)));
  }
}

/// How many ways there are to cut a token into two others that merging can make. Takes the square of its length.
std::size_t count_cuts(std::string_view text, const TokenizerDraft& draft) {
  const auto is_normal = [&](std::string_view part) {
    const auto id = draft.find(part);
    return id && draft.token_kind(*id) == TokenKind::kNormal;
  };
  std::size_t cuts = 0;
  for (std::size_t at = 1; at < text.size(); ++at) {
    const bool is_boundary = (static_cast<unsigned char>(text[at]) & 0xC0u) != 0x80;  // of UTF-8 characters
    if (is_boundary && is_normal(text.substr(0, at)) && is_normal(text.substr(at))) ++cuts;
  }
  return cuts;
}

/// SentencePiece merges any two neighbours that make a token, best score first. That is what a list of merges says when
/// it holds every way to make each token, those of one token side by side; scores then follow from its order.
void scores_from_merges(const Field& merges, TokenizerDraft& draft) {
  std::vector<std::size_t> n_merges(draft.size());
  std::optional<std::uint64_t> previous;
  for (std::size_t i = 0; i < merges.elements().size(); ++i) {
    const auto [left, right] = read_merge(merges, i);
    const auto made = draft.find(std::string(left) + std::string(right));
    if (!made) merges.at(i).refuse(ErrorKind::kBadFile, "two texts that make a token");
    if (n_merges[*made]++ == 0) {
      draft.set_score(*made, -static_cast<float>(i));
    } else if (previous != made) {
      merges.at(i).refuse(ErrorKind::kUnsupported,
                          "the merges of a SentencePiece vocabulary, those of a token together");
    }
    previous = made;
  }
  for (std::uint64_t id = 0; id < draft.size(); ++id) {
    if (draft.token_kind(id) != TokenKind::kNormal) continue;
    if (const std::size_t size = draft.text(id).size(); size > kMaxMergedBytes) {
      fail(ErrorKind::kUnsupported, "{}: key model.vocab: token {}: expected at most {} bytes, found {}",
           draft.source(), id, kMaxMergedBytes, size);
    }
    if (const std::size_t cuts = count_cuts(draft.text(id), draft); cuts != n_merges[id]) {
      fail(ErrorKind::kUnsupported,
           "{}: key model.merges: expected those of a SentencePiece vocabulary, {} ways to make '{}', found {}",
           draft.source(), cuts, printable(draft.text(id)), n_merges[id]);
    }
  }
}

void check_model(const Field& model) {
  if (model["type"].exists() && model["type"].text() != "BPE") {
    model["type"].refuse(ErrorKind::kUnsupported, "'BPE'");
  }
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model[key].text().value_or("").empty()) model[key].refuse(ErrorKind::kUnsupported, "none");
  }
  if (model["dropout"].number().value_or(0.0) != 0.0) model["dropout"].refuse(ErrorKind::kUnsupported, "none");
}

// --- what is added around a text ------------------------------------------------------------------------------

/// A token that a template puts before or after the text.
std::uint64_t special_of(const Field& item, const TokenizerDraft& draft) {
  const Field name = item["SpecialToken"]["id"];
  const auto id = name.exists() ? draft.find(*name.text()) : std::nullopt;
  if (!id) name.refuse(ErrorKind::kBadFile, "a token of the vocabulary");
  return *id;
}

void read_post_processor(const Field& json, TokenizerDraft& draft) {
  draft.add_bos = draft.add_eos = false;
  for (const Field& step : steps_of(json["post_processor"], "processors")) {
    if (type_of(step) == "ByteLevel") continue;  // changes offsets only
    if (type_of(step) != "TemplateProcessing") {
      step["type"].refuse(ErrorKind::kUnsupported, "ByteLevel or TemplateProcessing");
    }
    const Field single = step["single"];
    bool is_after = false;
    for (std::size_t i = 0; i < single.elements().size(); ++i) {
      if (single.at(i)["Sequence"].exists()) {
        is_after = true;
        continue;
      }
      std::optional<bool>& added = is_after ? draft.add_eos : draft.add_bos;
      if (*added) single.refuse(ErrorKind::kUnsupported, "at most one token before and one after the text");
      added = true;
      const std::uint64_t id = special_of(single.at(i), draft);
      if (is_after) {
        draft.ends = {id};
      } else {
        draft.bos = id;
      }
    }
  }
}

}  // namespace

void check_added_token(const Field& token, std::string_view text) {
  for (const char* key : {"lstrip", "rstrip", "single_word"}) {
    if (!token[key].flag().value_or(false)) continue;
    token[key].refuse(ErrorKind::kUnsupported, fmt::format("false, for token '{}'", printable(text)));
  }
}

TokenizerDraft read_tokenizer_json(const Field& json, Arena& arena) {
  TokenizerDraft draft(json.source());
  const Field model = json["model"];
  check_model(model);
  const std::vector<Field> pre_steps = steps_of(json["pre_tokenizer"], "pretokenizers");
  const bool byte_level =
      std::any_of(pre_steps.begin(), pre_steps.end(), [](const Field& step) { return type_of(step) == "ByteLevel"; });
  if (byte_level) {
    read_byte_level_steps(json, pre_steps, arena, draft);
  } else {
    read_sentencepiece_steps(json, pre_steps, draft);
  }
  read_vocabulary(model, draft);
  read_added_tokens(json, draft);
  if (byte_level) {
    read_byte_level_merges(model["merges"], arena, draft);
  } else {
    check_splits(pre_steps, draft);
    scores_from_merges(model["merges"], draft);
  }
  read_post_processor(json, draft);
  return draft;
}

}  // namespace tern::huggingface
