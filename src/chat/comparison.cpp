#include <algorithm>

#include "src/chat/operations.h"
#include "src/chat/text_search.h"

namespace tern::chat {
namespace {

bool equal_lists(Run& run, const List& a, const List& b) {
  if (a.kind == ListKind::kGenerator || a.kind != b.kind) return &a == &b;
  if (a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!equals(run, a.items[i], b.items[i])) return false;
  }
  return true;
}

bool equal_dicts(Run& run, const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = find(run, b, key);
    if (other == nullptr || !equals(run, value, *other)) return false;
  }
  return true;
}

std::optional<int> order_numbers(const Value& left, const Value& right) {
  std::int64_t a = 0;
  std::int64_t b = 0;
  if (left.integer(a) != nullptr && right.integer(b) != nullptr) return a < b ? -1 : static_cast<int>(a > b);
  const std::optional<double> x = as_real(left);
  const std::optional<double> y = as_real(right);
  if (!x || !y) return std::nullopt;
  return *x < *y ? -1 : static_cast<int>(*x > *y);
}

}  // namespace

bool equals(Run& run, const Value& left, const Value& right) {
  run.step();
  if (const std::optional<double> x = as_real(left)) {
    const std::optional<double> y = as_real(right);
    const bool is_number = *x == *x && y && *y == *y;  // nothing equals what is not a number
    return is_number && order_numbers(left, right) == 0;
  }
  if (left.data.index() != right.data.index()) return false;
  if (left.is_undefined() || left.is_none()) return true;
  if (const Text* text = left.text()) {
    run.step(text->size() / 64);
    return *text == *right.text();
  }
  if (const List* list = left.list()) return equal_lists(run, *list, *right.list());
  if (const Dict* dict = left.dict()) return equal_dicts(run, *dict, *right.dict());
  if (left.name_space() != nullptr) return left.name_space() == right.name_space();
  if (left.callable() != nullptr) return left.callable() == right.callable();
  return left.loop() == right.loop();
}

int order(Run& run, const Value& left, const Value& right) {
  run.step();
  if (const std::optional<int> result = order_numbers(left, right)) return *result;
  if (left.text() != nullptr && right.text() != nullptr) {
    run.step(left.text()->size() / 64);
    return left.text()->compare(*right.text());
  }
  const List* a = left.list();
  const List* b = right.list();
  if (a == nullptr || b == nullptr || a->kind != b->kind || a->kind > ListKind::kTuple) {
    run.fail("expected two values that have an order, found {} and {}", describe(left), describe(right));
  }
  const std::size_t n = std::min(a->items.size(), b->items.size());
  for (std::size_t i = 0; i < n; ++i) {
    if (!equals(run, a->items[i], b->items[i])) return order(run, a->items[i], b->items[i]);
  }
  return a->items.size() < b->items.size() ? -1 : static_cast<int>(a->items.size() > b->items.size());
}

bool contains(Run& run, const Value& container, const Value& wanted) {
  if (const Text* text = container.text()) {
    if (wanted.text() == nullptr) run.fail("expected a string to look for in a string, found {}", describe(wanted));
    return TextSearch(run, *text, *wanted.text()).find(*text) != Text::npos;
  }
  if (const Dict* dict = container.dict()) return find(run, *dict, wanted) != nullptr;
  const auto items = elements(run, container);
  return std::any_of(items->begin(), items->end(), [&](const Value& each) { return equals(run, each, wanted); });
}

bool compare(Run& run, Comparison comparison, const Value& left, const Value& right) {
  switch (comparison) {
    case Comparison::kEqual:
      return equals(run, left, right);
    case Comparison::kNotEqual:
      return !equals(run, left, right);
    case Comparison::kIn:
      return contains(run, right, left);
    case Comparison::kNotIn:
      return !contains(run, right, left);
    default:
      break;
  }
  const std::optional<double> x = as_real(left);
  const std::optional<double> y = as_real(right);
  if (x && y && (*x != *x || *y != *y)) return false;
  const int sign = order(run, left, right);
  if (comparison == Comparison::kLess) return sign < 0;
  if (comparison == Comparison::kLessEqual) return sign <= 0;
  return comparison == Comparison::kGreater ? sign > 0 : sign >= 0;
}

}  // namespace tern::chat
