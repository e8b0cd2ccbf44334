#include "src/chat/run.h"

#include <algorithm>

#include "src/base/check.h"

namespace tern::chat {

void fail_at(std::size_t line, ErrorKind kind, std::string_view message) {
  tern::fail(kind, "chat template, line {}: {}", line, message);
}

void Run::refuse_steps() const { refuse("expected at most {} steps, found more", kMaxSteps); }
void Run::refuse_characters() const { refuse("expected texts of at most {} characters, found more", kMaxCharacters); }

std::size_t Run::outer_depth(std::size_t inner_depth) const {
  if (inner_depth >= kMaxValueDepth) refuse("expected at most {} values within each other, found more", kMaxValueDepth);
  return inner_depth + 1;
}

Value Run::text(Text text) {
  count_characters(text.size());
  return std::make_shared<const Text>(std::move(text));
}

Value Run::list(std::vector<Value> items, ListKind kind) {
  step(items.size());
  if (items.size() > kMaxElements) refuse("expected a list of at most {}, found {}", kMaxElements, items.size());
  std::size_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, depth_of(item));
  return std::make_shared<const List>(List{std::move(items), kind, outer_depth(depth)});
}

Value Run::dict(std::vector<Dict::Entry> entries) {
  step(entries.size());
  if (entries.size() > kMaxElements) refuse("expected a dict of at most {}, found {}", kMaxElements, entries.size());
  std::size_t depth = 0;
  for (const auto& [key, value] : entries) depth = std::max({depth, depth_of(key), depth_of(value)});
  return std::make_shared<const Dict>(Dict{std::move(entries), outer_depth(depth)});
}

Value Run::method(const Builtin& builtin, const Value& self) {
  return std::make_shared<const Callable>(Callable{&builtin, self, outer_depth(depth_of(self)), nullptr, nullptr});
}

Namespace* Run::make_namespace() {
  step();
  return &namespaces_.emplace_back();
}

}  // namespace tern::chat
