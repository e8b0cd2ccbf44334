#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/chat/run.h"
#include "src/chat/value.h"

namespace tern::chat {

// What Python's operators do with values. Source: The Python Language Reference, chapter 6 (expressions); where values
// are undefined, Jinja 3.1. All fail with Error(kBadFile) where Python raises, and refuse integers beyond 64 bits.

enum class Operator { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower, kConcatenate };
enum class Comparison { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

[[nodiscard]] std::string_view to_string(Operator op) noexcept;
[[nodiscard]] Value apply(Run& run, Operator op, const Value& left, const Value& right);
[[nodiscard]] Value negate(Run& run, const Value& value);

[[nodiscard]] bool equals(Run& run, const Value& left, const Value& right);
/// Negative, zero or positive, of values that have an order.
[[nodiscard]] int order(Run& run, const Value& left, const Value& right);
[[nodiscard]] bool contains(Run& run, const Value& container, const Value& wanted);
[[nodiscard]] bool compare(Run& run, Comparison comparison, const Value& left, const Value& right);

/// An integer or a real number as a real one.
[[nodiscard]] std::optional<double> as_real(const Value& value) noexcept;
[[nodiscard]] std::size_t length(Run& run, const Value& value);
/// The elements of a list, keys of a dict, or characters of a string. A generator gives them once.
[[nodiscard]] std::shared_ptr<const std::vector<Value>> elements(Run& run, const Value& value);

/// nullptr when the dict has no such key.
[[nodiscard]] const Value* find(Run& run, const Dict& dict, const Value& key);
/// Replaces the value of a key, or appends it.
void put(Run& run, std::vector<Dict::Entry>& entries, Value key, Value value);
/// `object.name`; `key` is the name as a value.
[[nodiscard]] Value attribute(Run& run, const Value& object, const std::string& name, const Value& key);
/// `object[index]`.
[[nodiscard]] Value item(Run& run, const Value& object, const Value& index);
/// Start, stop and step of `object[start:stop:step]`; none where left out.
struct SliceBounds {
  Value start = None{};
  Value stop = None{};
  Value step = None{};
};
[[nodiscard]] Value slice(Run& run, const Value& object, const SliceBounds& bounds);

/// As Python's str() and repr().
[[nodiscard]] Text to_text(Run& run, const Value& value);
[[nodiscard]] std::string number_text(double number);
void append_repr(Run& run, const Value& value, Text& out);

}  // namespace tern::chat
