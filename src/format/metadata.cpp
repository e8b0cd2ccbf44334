#include <cmath>
#include <limits>
#include <type_traits>

#include "src/base/check.h"
#include "src/base/printable.h"
#include "src/format/byte_reader.h"
#include "src/format/gguf.h"

namespace tern::format {
namespace {

/// Calls visit(T{}) with the C++ type of a number's elements.
template <typename Visit>
auto with_number_type(ValueType type, const Visit& visit) {
  switch (type) {
    case ValueType::kI8:
      return visit(std::int8_t{});
    case ValueType::kU16:
      return visit(std::uint16_t{});
    case ValueType::kI16:
      return visit(std::int16_t{});
    case ValueType::kU32:
      return visit(std::uint32_t{});
    case ValueType::kI32:
      return visit(std::int32_t{});
    case ValueType::kF32:
      return visit(float{});
    case ValueType::kU64:
      return visit(std::uint64_t{});
    case ValueType::kI64:
      return visit(std::int64_t{});
    case ValueType::kF64:
      return visit(double{});
    default:
      return visit(std::uint8_t{});  // kU8 and kBool; strings and arrays never get here
  }
}

/// What a value is, for messages.
std::string describe(const Value& value) {
  struct {
    std::string operator()(std::uint64_t v) const { return fmt::format("the integer {}", v); }
    std::string operator()(std::int64_t v) const { return fmt::format("the integer {}", v); }
    std::string operator()(double v) const { return fmt::format("the number {}", v); }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::string_view v) const { return fmt::format("the string '{}'", printable(v)); }
    std::string operator()(const NumberArray& v) const {
      return fmt::format("an array of {} {}", v.count, to_string(v.element));
    }
    std::string operator()(const StringArray& v) const { return fmt::format("an array of {} strings", v.size()); }
  } text;
  return std::visit(text, value);
}

[[noreturn]] void fail_value(const Metadata& metadata, std::string_view key, std::string_view expected,
                             const Value& found) {
  fail(ErrorKind::kBadFile, "{}: key '{}': expected {}, found {}", metadata.source(), printable(key), expected,
       describe(found));
}

/// How files store such a value.
ValueType usual_type(const Value& value) {
  struct {
    ValueType operator()(std::uint64_t v) const {
      return v <= std::numeric_limits<std::uint32_t>::max() ? ValueType::kU32 : ValueType::kU64;
    }
    ValueType operator()(std::int64_t v) const {
      const bool fits = v >= std::numeric_limits<std::int32_t>::min() && v <= std::numeric_limits<std::int32_t>::max();
      return fits ? ValueType::kI32 : ValueType::kI64;
    }
    ValueType operator()(double) const { return ValueType::kF32; }
    ValueType operator()(bool) const { return ValueType::kBool; }
    ValueType operator()(std::string_view) const { return ValueType::kString; }
    ValueType operator()(const NumberArray&) const { return ValueType::kArray; }
    ValueType operator()(const StringArray&) const { return ValueType::kArray; }
  } type;
  return std::visit(type, value);
}

}  // namespace

std::string_view to_string(ValueType type) noexcept {
  switch (type) {
    case ValueType::kU8:
      return "u8";
    case ValueType::kI8:
      return "i8";
    case ValueType::kU16:
      return "u16";
    case ValueType::kI16:
      return "i16";
    case ValueType::kU32:
      return "u32";
    case ValueType::kI32:
      return "i32";
    case ValueType::kF32:
      return "f32";
    case ValueType::kBool:
      return "bool";
    case ValueType::kString:
      return "string";
    case ValueType::kArray:
      return "array";
    case ValueType::kU64:
      return "u64";
    case ValueType::kI64:
      return "i64";
    case ValueType::kF64:
      return "f64";
  }
  return "unknown";
}

std::int64_t NumberArray::integer(std::size_t i) const noexcept {
  TERN_DCHECK(i < count && element != ValueType::kF32 && element != ValueType::kF64);
  return with_number_type(element, [&](auto zero) -> std::int64_t {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T>) {
      return static_cast<std::int64_t>(load<T>(bytes.data() + i * sizeof(T)));
    } else {
      return 0;
    }
  });
}

double NumberArray::number(std::size_t i) const noexcept {
  TERN_DCHECK(i < count);
  return with_number_type(element, [&](auto zero) {
    using T = decltype(zero);
    return static_cast<double>(load<T>(bytes.data() + i * sizeof(T)));
  });
}

const Value* Metadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

void Metadata::add(std::string_view key, Value value, std::optional<ValueType> stored) {
  if (!index_.emplace(key, entries_.size()).second) {
    fail(ErrorKind::kBadFile, "{}: duplicate key '{}': expected each key once", source_, printable(key));
  }
  stored_types_.push_back(stored ? *stored : usual_type(value));
  entries_.emplace_back(key, std::move(value));
}

std::optional<std::uint64_t> Metadata::integer(std::string_view key, std::uint64_t max) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* natural = std::get_if<std::uint64_t>(value); natural != nullptr && *natural <= max) return *natural;
  if (const auto* whole = std::get_if<std::int64_t>(value); whole != nullptr && *whole >= 0) {
    if (const auto natural = static_cast<std::uint64_t>(*whole); natural <= max) return natural;
  }
  fail_value(*this, key, fmt::format("an integer from 0 to {}", max), *value);
}

std::optional<double> Metadata::number(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<double>(value); number != nullptr && std::isfinite(*number)) return *number;
  fail_value(*this, key, "a finite number in f32 or f64", *value);
}

std::optional<bool> Metadata::boolean(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  fail_value(*this, key, "a bool", *value);
}

std::optional<std::string_view> Metadata::string(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = std::get_if<std::string_view>(value)) return *text;
  fail_value(*this, key, "a string", *value);
}

const StringArray* Metadata::strings(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return nullptr;
  if (const auto* array = std::get_if<StringArray>(value)) return array;
  fail_value(*this, key, "an array of strings", *value);
}

const NumberArray* Metadata::numbers(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return nullptr;
  if (const auto* array = std::get_if<NumberArray>(value)) return array;
  fail_value(*this, key, "an array of numbers", *value);
}

}  // namespace tern::format
