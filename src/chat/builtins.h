#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/chat/run.h"
#include "src/chat/value.h"

namespace tern::chat {

/// Arguments of a call, evaluated.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// A call of a builtin, its arguments in the order of the parameters.
class Call {
 public:
  Run& run;
  const Value& self;  // what the filter, test or method is applied to
  std::vector<std::optional<Value>> values = {};
  Arguments rest = {};  // what no parameter took, where the signature has "*" or "**"

  /// Whether argument i was given, and is not none.
  [[nodiscard]] bool has(std::size_t i) const { return values[i] && !values[i]->is_none(); }
  [[nodiscard]] const Value& operator[](std::size_t i) const { return *values[i]; }
  /// The rest fail when argument i is of another type.
  [[nodiscard]] const Text& text(std::size_t i) const;
  [[nodiscard]] std::int64_t integer_or(std::size_t i, std::int64_t otherwise) const;
  [[nodiscard]] bool flag_or(std::size_t i, bool otherwise) const { return has(i) ? is_true(*values[i]) : otherwise; }
};

/// A filter, a test, a method or a function: one line of a table.
///
/// `signature` names the parameters, with spaces between them: "?" follows those that may be left out, "*" takes all
/// further arguments, so that those after it are given by name, and "**" all further named ones.
struct Builtin {
  std::string_view name;
  std::string_view signature;
  Value (*function)(Call& call);
};

// The tables, which are the places to extend: text_filters.cpp, list_filters.cpp, tests.cpp,
// methods.cpp, functions.cpp.
[[nodiscard]] std::span<const Builtin> text_filters() noexcept;
[[nodiscard]] std::span<const Builtin> list_filters() noexcept;
[[nodiscard]] std::span<const Builtin> tests() noexcept;
[[nodiscard]] std::span<const Builtin> functions() noexcept;

// nullptr when there is none.
[[nodiscard]] const Builtin* find_filter(std::string_view name) noexcept;
[[nodiscard]] const Builtin* find_test(std::string_view name) noexcept;
/// A method of the type that `object` has.
[[nodiscard]] const Builtin* find_method(const Value& object, std::string_view name) noexcept;

/// Hands the arguments to the parameters. Errors: Error(kBadFile) when they do not fit.
[[nodiscard]] Value invoke(Run& run, const Builtin& builtin, const Value& self, Arguments arguments);

}  // namespace tern::chat
