// Elements, attributes and slices.

#include <algorithm>
#include <cstdlib>

#include "src/base/printable.h"
#include "src/chat/builtins.h"
#include "src/chat/operations.h"

namespace tern::chat {
namespace {

Value undefined(const std::string& name) { return Undefined{std::make_shared<const std::string>(name)}; }

Value loop_attribute(const Loop& loop, std::string_view name) {
  const std::vector<Value>& items = *loop.items;
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto size = static_cast<std::int64_t>(items.size());
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return size - index;
  if (name == "revindex0") return size - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index == size - 1;
  if (name == "length") return size;
  if (name == "depth") return std::int64_t{1};  // without recursive loops
  if (name == "depth0") return std::int64_t{0};
  if (name == "previtem" && index > 0) return items[loop.index - 1];
  if (name == "nextitem" && index < size - 1) return items[loop.index + 1];
  return undefined("loop." + std::string(name));
}

/// The place of an index that may count from the end; nullopt outside.
std::optional<std::size_t> place(std::int64_t index, std::size_t size) {
  const auto n = static_cast<std::int64_t>(size);
  if (index < 0) index += n;
  if (index < 0 || index >= n) return std::nullopt;
  return static_cast<std::size_t>(index);
}

/// The places that a slice takes, in order. Source: CPython's PySlice_AdjustIndices.
std::vector<std::size_t> slice_places(Run& run, const SliceBounds& bounds, std::size_t size) {
  const auto number = [&run](const Value& value, std::int64_t otherwise) {
    std::int64_t result = otherwise;
    if (!value.is_none() && value.integer(result) == nullptr) {
      run.fail("expected integers in a slice, found {}", describe(value));
    }
    return result;
  };
  const auto n = static_cast<std::int64_t>(size);
  std::int64_t step = number(bounds.step, 1);
  if (step == 0) run.fail("expected a step of a slice, found zero");
  step = std::clamp(step, -n - 1, n + 1);  // a longer one takes one element as well
  const std::int64_t lowest = step < 0 ? -1 : 0;
  const std::int64_t highest = step < 0 ? n - 1 : n;
  const auto bound = [&](const Value& value, std::int64_t otherwise) {
    if (value.is_none()) return otherwise;
    const std::int64_t at = number(value, 0);
    return at < 0 ? std::max(at + n, lowest) : std::min(at, highest);
  };
  const std::int64_t start = bound(bounds.start, step < 0 ? highest : lowest);
  const std::int64_t stop = bound(bounds.stop, step < 0 ? lowest : highest);
  const std::int64_t distance = step < 0 ? start - stop : stop - start;
  if (distance > 0) run.step(static_cast<std::size_t>(distance / std::abs(step)) / 8);
  std::vector<std::size_t> places;
  for (std::int64_t i = start; step < 0 ? i > stop : i < stop; i += step) places.push_back(static_cast<std::size_t>(i));
  return places;
}

std::vector<Value> characters(Run& run, const Text& text) {
  if (text.size() > kMaxElements) run.refuse("expected at most {} characters, found {}", kMaxElements, text.size());
  run.step(text.size());
  std::vector<Value> items;
  items.reserve(text.size());
  for (const Char& c : text) items.push_back(run.text(TextView(&c, 1)));
  return items;
}

}  // namespace

std::size_t length(Run& run, const Value& value) {
  if (value.is_undefined()) return 0;
  if (const Text* text = value.text()) return text->size();
  if (const Dict* dict = value.dict()) return dict->entries.size();
  if (value.loop() != nullptr) return value.loop()->items->size();
  const List* list = value.list();
  if (list == nullptr || list->kind == ListKind::kGenerator) {
    run.fail("expected a value that has a length, found {}", describe(value));
  }
  return list->items.size();
}

std::shared_ptr<const std::vector<Value>> elements(Run& run, const Value& value) {
  run.step();
  if (value.is_undefined()) return std::make_shared<const std::vector<Value>>();
  if (const auto* list = std::get_if<std::shared_ptr<const List>>(&value.data)) {
    if ((*list)->kind == ListKind::kGenerator) {
      if ((*list)->is_used_up) return std::make_shared<const std::vector<Value>>();
      (*list)->is_used_up = true;
    }
    run.step((*list)->items.size() / 16);  // whoever asks for them goes through them
    return {*list, &(*list)->items};
  }
  if (const Text* text = value.text()) {
    return std::make_shared<const std::vector<Value>>(characters(run, *text));
  }
  const Dict* dict = value.dict();
  if (dict == nullptr) run.fail("expected a value with elements, found {}", describe(value));
  run.step(dict->entries.size());
  std::vector<Value> keys;
  for (const auto& entry : dict->entries) keys.push_back(entry.first);
  return std::make_shared<const std::vector<Value>>(std::move(keys));
}

const Value* find(Run& run, const Dict& dict, const Value& key) {
  if (key.dict() != nullptr || (key.list() != nullptr && key.list()->kind == ListKind::kList)) {
    run.fail("expected the key of a dict, found {}", describe(key));
  }
  for (const auto& entry : dict.entries) {
    if (equals(run, entry.first, key)) return &entry.second;
  }
  return nullptr;
}

void put(Run& run, std::vector<Dict::Entry>& entries, Value key, Value value) {
  if (key.dict() != nullptr || (key.list() != nullptr && key.list()->kind == ListKind::kList)) {
    run.fail("expected the key of a dict, found {}", describe(key));
  }
  for (auto& entry : entries) {
    if (!equals(run, entry.first, key)) continue;
    entry.second = std::move(value);
    return;
  }
  entries.emplace_back(std::move(key), std::move(value));
}

Value attribute(Run& run, const Value& object, const std::string& name, const Value& key) {
  if (object.is_undefined()) run.fail("expected a value that has '{}', found {}", printable(name), describe(object));
  if (const Builtin* method = find_method(object, name)) return run.method(*method, object);
  if (const Loop* loop = object.loop()) return loop_attribute(*loop, name);
  if (const Namespace* space = object.name_space()) {
    const auto found = space->variables.find(name);
    if (found != space->variables.end()) return found->second;
  }
  if (const Dict* dict = object.dict()) {
    if (const Value* found = find(run, *dict, key)) return *found;
  }
  return undefined(name);
}

Value item(Run& run, const Value& object, const Value& index) {
  if (object.is_undefined()) run.fail("expected a value with elements, found {}", describe(object));
  if (const Dict* dict = object.dict()) {
    if (const Value* found = find(run, *dict, index)) return *found;
  }
  std::int64_t number = 0;
  if (index.integer(number) != nullptr) {
    const List* list = object.list();
    if (list != nullptr && list->kind <= ListKind::kRange) {
      if (const auto at = place(number, list->items.size())) return list->items[*at];
    }
    if (const Text* text = object.text()) {
      if (const auto at = place(number, text->size())) return run.text(TextView(*text).substr(*at, 1));
    }
  }
  if (const Text* text = index.text()) {
    run.step_through(text->size());
    const std::string name = to_utf8(*text);
    if (object.dict() == nullptr) return attribute(run, object, name, index);
    if (const Builtin* method = find_method(object, name)) return run.method(*method, object);
    return undefined(name);
  }
  return undefined(fmt::format("[{}]", describe(index)));
}

Value slice(Run& run, const Value& object, const SliceBounds& bounds) {
  if (const Text* text = object.text()) {
    Text part;
    for (const std::size_t i : slice_places(run, bounds, text->size())) part += (*text)[i];
    return run.text(std::move(part));
  }
  const List* list = object.list();
  if (list == nullptr || list->kind > ListKind::kRange) {
    run.fail("expected a string or a list to slice, found {}", describe(object));
  }
  std::vector<Value> items;
  for (const std::size_t i : slice_places(run, bounds, list->items.size())) items.push_back(list->items[i]);
  return run.list(std::move(items), list->kind);
}

}  // namespace tern::chat
