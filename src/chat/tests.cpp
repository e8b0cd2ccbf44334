// Tests: what may follow `is`.

#include <algorithm>
#include <array>

#include "src/chat/builtins.h"
#include "src/chat/operations.h"

namespace tern::chat {
namespace {

bool is_mapping(const Value& value) { return value.dict() != nullptr; }
bool is_integer(const Value& value) { return std::holds_alternative<std::int64_t>(value.data); }
bool is_number(const Value& value) { return as_real(value).has_value(); }

bool is_sequence(const Value& value) {
  const List* list = value.list();
  if (list != nullptr) return list->kind <= ListKind::kRange;
  return value.text() != nullptr || value.dict() != nullptr || value.is_undefined();
}

bool is_iterable(const Value& value) {
  return is_sequence(value) || value.list() != nullptr || value.loop() != nullptr;
}

Value all_cased(Call& call, Char (*to_case)(Char) noexcept) {
  const Text* text = call.self.text();
  if (text == nullptr) return false;
  call.run.step(1 + text->size() / kLettersPerStep);
  bool has_letter = false;
  for (const Char c : *text) {
    if (!CharTraits::eq(to_case(c), c)) return false;
    has_letter = has_letter || is_letter(c);
  }
  return has_letter;
}

template <bool (*kTest)(const Value&)>
Value test_type(Call& call) {
  return kTest(call.self);
}

template <Comparison kComparison>
Value test_comparison(Call& call) {
  return compare(call.run, kComparison, call.self, call[0]);
}

Value test_same(Call& call) {
  const Value& a = call.self;
  const Value& b = call[0];
  // Whether Python's `is` holds of two equal texts or numbers depends on its caches; of these values it never does.
  const bool is_object = a.text() != nullptr || a.list() != nullptr || a.dict() != nullptr;
  if (a.text() != nullptr) return a.text() == b.text();
  if (a.list() != nullptr) return a.list() == b.list();
  if (a.dict() != nullptr) return a.dict() == b.dict();
  return !is_object && a.data.index() == b.data.index() && equals(call.run, a, b);
}

Value has_remainder(Call& call, const Value& divisor, std::int64_t wanted) {
  return equals(call.run, apply(call.run, Operator::kModulo, call.self, divisor), wanted);
}

/// Whether tern has what the string names.
template <const Builtin* (*kFind)(std::string_view) noexcept>
Value test_name(Call& call) {
  const Text* name = call.self.text();
  if (name == nullptr) return false;
  call.run.step_through(name->size());
  return kFind(to_utf8(*name)) != nullptr;
}

Value test_odd(Call& call) { return has_remainder(call, std::int64_t{2}, 1); }
Value test_even(Call& call) { return has_remainder(call, std::int64_t{2}, 0); }
Value test_divisible(Call& call) { return has_remainder(call, call[0], 0); }

constexpr auto kTests = std::to_array<Builtin>({
    {"defined", "", [](Call& call) -> Value { return !call.self.is_undefined(); }},
    {"undefined", "", [](Call& call) -> Value { return call.self.is_undefined(); }},
    {"none", "", [](Call& call) -> Value { return call.self.is_none(); }},
    {"boolean", "", [](Call& call) -> Value { return call.self.boolean() != nullptr; }},
    {"true", "", [](Call& call) -> Value { return call.self.boolean() != nullptr && is_true(call.self); }},
    {"false", "", [](Call& call) -> Value { return call.self.boolean() != nullptr && !is_true(call.self); }},
    {"string", "", [](Call& call) -> Value { return call.self.text() != nullptr; }},
    {"number", "", test_type<is_number>},
    {"integer", "", test_type<is_integer>},
    {"float", "", [](Call& call) -> Value { return call.self.real() != nullptr; }},
    {"mapping", "", test_type<is_mapping>},
    {"sequence", "", test_type<is_sequence>},
    {"iterable", "", test_type<is_iterable>},
    {"callable", "", [](Call& call) -> Value { return call.self.callable() != nullptr; }},
    {"lower", "", [](Call& call) { return all_cased(call, lower); }},
    {"upper", "", [](Call& call) { return all_cased(call, upper); }},
    {"odd", "", test_odd},
    {"even", "", test_even},
    {"divisibleby", "num", test_divisible},
    {"sameas", "other", test_same},
    {"in", "seq", [](Call& call) -> Value { return contains(call.run, call[0], call.self); }},
    {"eq", "b", test_comparison<Comparison::kEqual>},
    {"equalto", "b", test_comparison<Comparison::kEqual>},
    {"==", "b", test_comparison<Comparison::kEqual>},
    {"ne", "b", test_comparison<Comparison::kNotEqual>},
    {"!=", "b", test_comparison<Comparison::kNotEqual>},
    {"lt", "b", test_comparison<Comparison::kLess>},
    {"lessthan", "b", test_comparison<Comparison::kLess>},
    {"<", "b", test_comparison<Comparison::kLess>},
    {"le", "b", test_comparison<Comparison::kLessEqual>},
    {"<=", "b", test_comparison<Comparison::kLessEqual>},
    {"gt", "b", test_comparison<Comparison::kGreater>},
    {"greaterthan", "b", test_comparison<Comparison::kGreater>},
    {">", "b", test_comparison<Comparison::kGreater>},
    {"ge", "b", test_comparison<Comparison::kGreaterEqual>},
    {">=", "b", test_comparison<Comparison::kGreaterEqual>},
    {"filter", "", test_name<find_filter>},
    {"test", "", test_name<find_test>},
});

}  // namespace

std::span<const Builtin> tests() noexcept { return kTests; }

}  // namespace tern::chat
