// Methods of strings, lists, dicts and the variable loop. Those of Python that change a value are not there: Jinja's
// sandbox refuses them as well.

#include <algorithm>
#include <array>

#include "src/chat/builtins.h"
#include "src/chat/operations.h"
#include "src/chat/text_operations.h"
#include "src/chat/text_search.h"

namespace tern::chat {
namespace {

const Text& self_text(const Call& call) { return *call.self.text(); }

std::optional<std::size_t> max_count(const Call& call, std::size_t i) {
  const std::int64_t n = call.integer_or(i, -1);
  return n < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(n));
}

template <bool kLeft, bool kRight>
Value text_strip(Call& call) {
  const Text* set = call.has(0) ? &call.text(0) : nullptr;
  count_strip(call.run, self_text(call), set);
  return call.run.text(strip(self_text(call), set, {kLeft, kRight}));
}

template <auto kSplit>
Value text_split(Call& call) {
  const Text* separator = call.has(0) ? &call.text(0) : nullptr;
  return call.run.list(kSplit(call.run, self_text(call), separator, max_count(call, 1)));
}

Value text_splitlines(Call& call) {
  std::vector<Value> lines;
  for (const TextView line : split_lines(call.run, self_text(call), call.flag_or(0, false))) {
    lines.push_back(call.run.text(line));
  }
  return call.run.list(std::move(lines));
}

/// The first or the last place of the string that argument 0 is.
template <bool kFirst>
std::size_t find_argument(Call& call) {
  const auto from = kFirst ? TextSearch::From::kLeft : TextSearch::From::kRight;
  return TextSearch(call.run, self_text(call), call.text(0), from).find(self_text(call));
}

/// The first or the last place of a separator: before, separator, after.
template <bool kFirst>
Value text_partition(Call& call) {
  const Text& text = self_text(call);
  const Text& separator = call.text(0);
  if (separator.empty()) call.run.fail("expected a separator to split at, found an empty string");
  const std::size_t at = find_argument<kFirst>(call);
  const bool found = at != Text::npos;
  const TextView all = text;
  const TextView none;
  const TextView before = found ? all.substr(0, at) : kFirst ? all : none;
  const TextView after = found ? all.substr(at + separator.size()) : kFirst ? none : all;
  return call.run.list(
      {call.run.text(before), call.run.text(found ? all.substr(at, separator.size()) : none), call.run.text(after)},
      ListKind::kTuple);
}

/// Whether the string begins or ends with a text, or one of a tuple of them.
template <bool kBegin>
Value text_has_end(Call& call) {
  const auto matches = [&call](const Value& part) {
    if (part.text() == nullptr) call.run.fail("expected a string to compare an end with, found {}", describe(part));
    call.run.step_through(part.text()->size());
    const TextView text = self_text(call);
    return kBegin ? text.starts_with(*part.text()) : text.ends_with(*part.text());
  };
  const List* list = call[0].list();
  if (list == nullptr || list->kind != ListKind::kTuple) return matches(call[0]);
  return std::any_of(list->items.begin(), list->items.end(), matches);
}

template <bool kBegin>
Value text_remove_end(Call& call) {
  TextView text = self_text(call);
  const Text& part = call.text(0);
  if (kBegin && text.starts_with(part)) text.remove_prefix(part.size());
  if (!kBegin && text.ends_with(part)) text.remove_suffix(part.size());
  return call.run.text(text);
}

template <bool kFirst>
Value text_find(Call& call) {
  const std::size_t at = find_argument<kFirst>(call);
  return at == Text::npos ? std::int64_t{-1} : static_cast<std::int64_t>(at);
}

Value text_count(Call& call) {
  const Text& wanted = call.text(0);
  TextView rest = self_text(call);
  if (wanted.empty()) return static_cast<std::int64_t>(rest.size()) + 1;
  const TextSearch search(call.run, rest, wanted);
  std::int64_t n = 0;
  for (std::size_t at = 0; (at = search.find(rest)) != TextView::npos; ++n) {
    call.run.step();
    rest.remove_prefix(at + wanted.size());
  }
  return n;
}

Value text_replace(Call& call) {
  return call.run.text(replace(call.run, self_text(call), call.text(0), call.text(1), max_count(call, 2)));
}

/// A letter is a capital when it follows none.
Value text_title(Call& call) {
  Text text = self_text(call);
  bool in_word = false;
  for (Char& c : text) {
    c = in_word ? lower(c) : upper(c);
    in_word = is_letter(c);
  }
  return call.run.text(std::move(text));
}

Value text_join(Call& call) {
  Text result;
  bool first = true;
  const auto items = elements(call.run, call[0]);
  for (const Value& item : *items) {
    if (item.text() == nullptr) call.run.fail("expected strings to join, found {}", describe(item));
    if (!first) call.run.append(result, self_text(call));
    call.run.append(result, *item.text());
    first = false;
  }
  return call.run.text(std::move(result));
}

/// Of a string that is not empty: whether all characters are of a class.
template <bool (*kClass)(Char)>
Value text_all(Call& call) {
  const Text& text = self_text(call);
  call.run.step(1 + text.size() / kLettersPerStep);
  return !text.empty() && std::all_of(text.begin(), text.end(), kClass);
}
bool is_alphabetic(Char c) { return is_letter(c); }
bool is_alphanumeric(Char c) { return is_letter(c) || is_digit(c); }
bool is_decimal(Char c) { return is_digit(c); }
bool is_white(Char c) { return is_space(c); }

constexpr auto kTextMethods = std::to_array<Builtin>({
    {"capitalize", "", [](Call& call) { return call.run.text(capitalize(self_text(call))); }},
    {"count", "sub", text_count},
    {"endswith", "suffix", text_has_end<false>},
    {"find", "sub", text_find<true>},
    {"isalnum", "", text_all<is_alphanumeric>},
    {"isalpha", "", text_all<is_alphabetic>},
    {"isdigit", "", text_all<is_decimal>},
    {"isspace", "", text_all<is_white>},
    {"join", "iterable", text_join},
    {"lower", "", [](Call& call) { return call.run.text(lower(self_text(call))); }},
    {"lstrip", "chars?", text_strip<true, false>},
    {"partition", "sep", text_partition<true>},
    {"removeprefix", "prefix", text_remove_end<true>},
    {"removesuffix", "suffix", text_remove_end<false>},
    {"replace", "old new count?", text_replace},
    {"rfind", "sub", text_find<false>},
    {"rpartition", "sep", text_partition<false>},
    {"rsplit", "sep? maxsplit?", text_split<split_from_right>},
    {"rstrip", "chars?", text_strip<false, true>},
    {"split", "sep? maxsplit?", text_split<split>},
    {"splitlines", "keepends?", text_splitlines},
    {"startswith", "prefix", text_has_end<true>},
    {"strip", "chars?", text_strip<true, true>},
    {"title", "", text_title},
    {"upper", "", [](Call& call) { return call.run.text(upper(self_text(call))); }},
});

template <bool kKeys, bool kValues>
Value dict_view(Call& call) {
  std::vector<Value> items;
  for (const auto& [key, value] : call.self.dict()->entries) {
    items.push_back(kKeys && kValues ? call.run.list({key, value}, ListKind::kTuple) : kKeys ? key : value);
  }
  return call.run.list(std::move(items), ListKind::kView);
}

Value dict_get(Call& call) {
  if (const Value* found = find(call.run, *call.self.dict(), call[0])) return *found;
  return call.values[1] ? call[1] : Value(None{});
}

constexpr auto kDictMethods = std::to_array<Builtin>({
    {"copy", "", [](Call& call) { return call.self; }},
    {"get", "key default?", dict_get},
    {"items", "", dict_view<true, true>},
    {"keys", "", dict_view<true, false>},
    {"values", "", dict_view<false, true>},
});

Value list_count(Call& call) {
  const auto& items = call.self.list()->items;
  return static_cast<std::int64_t>(
      std::count_if(items.begin(), items.end(), [&](const Value& item) { return equals(call.run, item, call[0]); }));
}

Value list_index(Call& call) {
  const auto& items = call.self.list()->items;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (equals(call.run, items[i], call[0])) return static_cast<std::int64_t>(i);
  }
  call.run.fail("index: expected an element of the list, found {}", describe(call[0]));
}

constexpr auto kListMethods = std::to_array<Builtin>({
    {"copy", "", [](Call& call) { return call.self; }},
    {"count", "value", list_count},
    {"index", "value", list_index},
});

Value loop_cycle(Call& call) {
  const std::vector<Value>& choices = call.rest.positional;
  if (choices.empty()) call.run.fail("cycle: expected values, found none");
  return choices[call.self.loop()->index % choices.size()];
}

constexpr auto kLoopMethods = std::to_array<Builtin>({
    {"cycle", "*", loop_cycle},
});

std::span<const Builtin> methods_of(const Value& object) noexcept {
  if (object.text() != nullptr) return kTextMethods;
  if (object.dict() != nullptr) return kDictMethods;
  if (object.loop() != nullptr) return kLoopMethods;
  const List* list = object.list();
  if (list != nullptr && list->kind <= ListKind::kRange) return kListMethods;
  return {};
}

}  // namespace

const Builtin* find_method(const Value& object, std::string_view name) noexcept {
  for (const Builtin& method : methods_of(object)) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

}  // namespace tern::chat
