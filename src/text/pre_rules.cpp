#include "src/text/pre_rules.h"

#include <array>

// The patterns give the same words as the models' published ones, but for two things that differ in how they run, not
// in what they match: quantifiers are possessive (++) where what follows could not use the characters given back, so
// that time is linear in the text; and (?i:...) is spelled out, since case folding would also take U+017F for an s.
namespace tern::text {
namespace {

using Pattern = std::string_view;

// 's 't 're 've 'm 'll 'd | word | up to three digits | punctuation | line ends | spaces but the last | spaces
constexpr std::array kLlama3 = {
    Pattern(R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+)"
            R"(| ?+[^\s\p{L}\p{N}]++[\r\n]*+|\s*[\r\n]++|\s+(?!\S)|\s++)")};
// As above, but every digit on its own.
constexpr std::array kQwen2 = {Pattern(R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N})"
                                       R"(| ?+[^\s\p{L}\p{N}]++[\r\n]*+|\s*[\r\n]++|\s+(?!\S)|\s++)")};

constexpr Pattern kGpt2Pattern = R"('(?:[stmd]|re|ve|ll)| ?+\p{L}++| ?+\p{N}++| ?+[^\s\p{L}\p{N}]++|\s+(?!\S)|\s++)";
constexpr std::array kGpt2 = {kGpt2Pattern};
constexpr std::array kFalcon = {Pattern(R"([\p{P}$+<=>^~|`]++)"), kGpt2Pattern, Pattern("[0-9][0-9][0-9]")};
constexpr std::array kDefault = {Pattern(R"([\p{P}$+<=>^~|]++)"), kGpt2Pattern, Pattern(R"(\p{N}++)"),
                                 Pattern("[0-9][0-9][0-9]")};

// One line a rule: names, patterns, ignore_merges, adds_bos.
constexpr PreRule kRules[] = {
    {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 falcon_e pixtral", kLlama3, true, true},
    {"qwen2 deepseek-r1-qwen megrez", kQwen2, false, false},
    {"gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v2-code mpt olmo", kGpt2, false, false},
    {"falcon", kFalcon, false, false},
    {"default", kDefault, false, false},
};

/// Calls visit(name) for each name until one returns true; true when one did.
template <typename Visit>
bool any_name(std::string_view names, const Visit& visit) {
  while (!names.empty()) {
    const std::size_t end = names.find(' ');
    if (visit(names.substr(0, end))) return true;
    names = end == std::string_view::npos ? std::string_view() : names.substr(end + 1);
  }
  return false;
}

}  // namespace

const PreRule* find_pre_rule(std::string_view name) {
  for (const PreRule& rule : kRules) {
    if (any_name(rule.names, [&](std::string_view known) { return known == name; })) return &rule;
  }
  return nullptr;
}

std::vector<std::string_view> pre_rule_names() {
  std::vector<std::string_view> names;
  for (const PreRule& rule : kRules) {
    any_name(rule.names, [&](std::string_view known) {
      names.push_back(known);
      return false;
    });
  }
  return names;
}

}  // namespace tern::text
