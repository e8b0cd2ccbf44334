// Filters of lists and dicts.

#include <algorithm>
#include <array>
#include <charconv>

#include "src/chat/builtins.h"
#include "src/chat/operations.h"

namespace tern::chat {
namespace {

using Items = std::vector<Value>;

/// Follows a path like "function.name" or 0; an absent argument gives the value itself.
Value get_path(Run& run, const Value& value, const Value& path) {
  run.step();
  if (path.text() == nullptr) return item(run, value, path);
  Value result = value;
  TextView rest = *path.text();
  for (bool more = true; more;) {
    const std::size_t end = rest.find(U'.');
    const std::string part = to_utf8(rest.substr(0, end));
    run.step_through(part.size());
    std::int64_t index = 0;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool is_index = !part.empty() && parsed.ec == std::errc() && parsed.ptr == part.data() + part.size();
    result = item(run, result, is_index ? Value(index) : run.text(from_utf8(part)));
    more = end != TextView::npos;
    if (more) rest.remove_prefix(end + 1);
  }
  return result;
}

/// What an element is sorted and compared by: an attribute of it when argument `i` names one, in lower case.
Value sort_key(Call& call, const Value& item, std::size_t attribute, std::size_t case_sensitive) {
  const Value key = call.has(attribute) ? get_path(call.run, item, call[attribute]) : item;
  if (key.text() == nullptr || call.flag_or(case_sensitive, false)) return key;
  return call.run.text(lower(*key.text()));
}

/// The elements, of which what is false has none to map and select: Jinja takes even none for an empty list there.
std::shared_ptr<const Items> elements_if_any(Call& call) {
  return is_true(call.self) ? elements(call.run, call.self) : std::make_shared<const Items>();
}

Value generator(Call& call, Items items) { return call.run.list(std::move(items), ListKind::kGenerator); }

Value filter_attr(Call& call) {
  call.run.step_through(call.text(0).size());
  return attribute(call.run, call.self, to_utf8(call.text(0)), call[0]);
}

Value filter_first(Call& call) {
  const auto items = elements(call.run, call.self);
  return items->empty() ? Value() : items->front();
}

Value filter_last(Call& call) {
  const List* list = call.self.list();
  if (list != nullptr && list->kind == ListKind::kGenerator) call.run.fail("last: expected a list, found a generator");
  const auto items = elements(call.run, call.self);
  return items->empty() ? Value() : items->back();
}

Value filter_join(Call& call) {
  const Text separator = call.has(0) ? to_text(call.run, call[0]) : Text();
  Text result;
  bool first = true;
  const auto items = elements(call.run, call.self);
  for (const Value& item : *items) {
    if (!first) call.run.append(result, separator);
    call.run.append(result, to_text(call.run, call.has(1) ? get_path(call.run, item, call[1]) : item));
    first = false;
  }
  return call.run.text(std::move(result));
}

Value filter_list(Call& call) { return call.run.list(*elements(call.run, call.self)); }

Value filter_items(Call& call) {
  if (call.self.is_undefined()) return generator(call, {});
  const Builtin* method = call.self.dict() == nullptr ? nullptr : find_method(call.self, "items");
  if (method == nullptr) call.run.fail("items: expected a dict, found {}", describe(call.self));
  const Value view = invoke(call.run, *method, call.self, {});
  return generator(call, view.list()->items);
}

Value filter_reverse(Call& call) {
  if (const Text* text = call.self.text()) return call.run.text(Text(text->rbegin(), text->rend()));
  Items items = *elements(call.run, call.self);
  std::reverse(items.begin(), items.end());
  return generator(call, std::move(items));
}

/// Stable, by keys that are as long as the items.
Items sort_by(Run& run, const Items& keys, const Items& items, bool reverse) {
  std::vector<std::size_t> places(items.size());
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = i;
  std::stable_sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
    const int sign = order(run, keys[a], keys[b]);
    return reverse ? sign > 0 : sign < 0;
  });
  Items sorted;
  for (const std::size_t i : places) sorted.push_back(items[i]);
  return sorted;
}

Value filter_sort(Call& call) {
  const auto items = elements(call.run, call.self);
  Items keys;
  for (const Value& item : *items) keys.push_back(sort_key(call, item, 2, 1));
  return call.run.list(sort_by(call.run, keys, *items, call.flag_or(0, false)));
}

Value filter_dictsort(Call& call) {
  const Dict* dict = call.self.dict();
  if (dict == nullptr) call.run.fail("dictsort: expected a dict, found {}", describe(call.self));
  const std::string by = call.has(1) ? to_utf8(call.text(1)) : "key";
  if (by != "key" && by != "value") call.run.fail("dictsort: expected key or value, found {}", describe(call[1]));
  Items keys;
  Items items;
  for (const auto& [key, value] : dict->entries) {
    const Value& chosen = by == "key" ? key : value;
    const bool keeps_case = chosen.text() == nullptr || call.flag_or(0, false);
    keys.push_back(keeps_case ? chosen : call.run.text(lower(*chosen.text())));
    items.push_back(call.run.list({key, value}, ListKind::kTuple));
  }
  return call.run.list(sort_by(call.run, keys, items, call.flag_or(2, false)));
}

Value filter_unique(Call& call) {
  Items keys;
  Items firsts;
  const auto items = elements(call.run, call.self);
  for (const Value& item : *items) {
    Value key = sort_key(call, item, 1, 0);
    const auto is_same = [&](const Value& other) { return equals(call.run, key, other); };
    if (std::any_of(keys.begin(), keys.end(), is_same)) continue;
    keys.push_back(std::move(key));
    firsts.push_back(item);
  }
  return generator(call, std::move(firsts));
}

/// kSign: 1 for the largest element, -1 for the smallest; the first of equals.
template <int kSign>
Value filter_extreme(Call& call) {
  const auto items = elements(call.run, call.self);
  Value best;
  Value best_key;
  for (std::size_t i = 0; i < items->size(); ++i) {
    Value key = sort_key(call, (*items)[i], 1, 0);
    if (i > 0 && order(call.run, key, best_key) * kSign <= 0) continue;
    best = (*items)[i];
    best_key = std::move(key);
  }
  return best;
}

Value filter_sum(Call& call) {
  Value sum = call.values[1] ? call[1] : Value(std::int64_t{0});
  const auto items = elements(call.run, call.self);
  for (const Value& item : *items) {
    sum = apply(call.run, Operator::kAdd, sum, call.has(0) ? get_path(call.run, item, call[0]) : item);
  }
  return sum;
}

/// The filter or test that the first of the remaining arguments names; the others are for it.
const Builtin& take_builtin(Call& call, const Builtin* (*find_builtin)(std::string_view) noexcept,
                            std::string_view what) {
  Items& arguments = call.rest.positional;
  if (arguments.empty() || arguments[0].text() == nullptr) {
    call.run.fail("expected the name of a {}, found {}", what,
                  arguments.empty() ? std::string("none") : describe(arguments[0]));
  }
  const Builtin* found = find_builtin(to_utf8(*arguments[0].text()));
  if (found == nullptr) call.run.refuse("expected a {} that tern has, found {}", what, describe(arguments[0]));
  arguments.erase(arguments.begin());
  return *found;
}

/// map(attribute="path", default=value) or map("filter", its arguments).
Value filter_map(Call& call) {
  Items results;
  const auto items = elements_if_any(call);
  if (call.rest.positional.empty() && call.has(0)) {
    for (const Value& item : *items) {
      Value value = get_path(call.run, item, call[0]);
      results.push_back(value.is_undefined() && call.values[1] ? call[1] : std::move(value));
    }
    return generator(call, std::move(results));
  }
  const Builtin& filter = take_builtin(call, find_filter, "filter");
  for (const Value& item : *items) results.push_back(invoke(call.run, filter, item, call.rest));
  return generator(call, std::move(results));
}

/// select, reject, selectattr, rejectattr: elements of which, or of an attribute of which, a test holds.
template <bool kWanted, bool kOfAttribute>
Value filter_select(Call& call) {
  Value path;
  if (kOfAttribute) {
    if (call.rest.positional.empty()) call.run.fail("expected the name of an attribute, found none");
    path = call.rest.positional[0];
    call.rest.positional.erase(call.rest.positional.begin());
  }
  const Builtin* test = call.rest.positional.empty() ? nullptr : &take_builtin(call, find_test, "test");
  Items results;
  const auto items = elements_if_any(call);
  for (const Value& item : *items) {
    const Value subject = kOfAttribute ? get_path(call.run, item, path) : item;
    const Value result = test == nullptr ? subject : invoke(call.run, *test, subject, call.rest);
    if (is_true(result) == kWanted) results.push_back(item);
  }
  return generator(call, std::move(results));
}

Value filter_length(Call& call) { return static_cast<std::int64_t>(length(call.run, call.self)); }

constexpr auto kFilters = std::to_array<Builtin>({
    {"attr", "name", filter_attr},
    {"count", "", filter_length},
    {"dictsort", "case_sensitive? by? reverse?", filter_dictsort},
    {"first", "", filter_first},
    {"items", "", filter_items},
    {"join", "d? attribute?", filter_join},
    {"last", "", filter_last},
    {"length", "", filter_length},
    {"list", "", filter_list},
    {"map", "* attribute? default? **", filter_map},
    {"max", "case_sensitive? attribute?", filter_extreme<1>},
    {"min", "case_sensitive? attribute?", filter_extreme<-1>},
    {"reject", "* **", filter_select<false, false>},
    {"rejectattr", "* **", filter_select<false, true>},
    {"reverse", "", filter_reverse},
    {"select", "* **", filter_select<true, false>},
    {"selectattr", "* **", filter_select<true, true>},
    {"sort", "reverse? case_sensitive? attribute?", filter_sort},
    {"sum", "attribute? start?", filter_sum},
    {"unique", "case_sensitive? attribute?", filter_unique},
});

}  // namespace

std::span<const Builtin> list_filters() noexcept { return kFilters; }

}  // namespace tern::chat
