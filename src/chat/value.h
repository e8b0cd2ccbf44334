#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/chat/text.h"

namespace tern::chat {

struct List;
struct Dict;
struct Namespace;
struct Callable;
struct Loop;

/// What a name stands for that nothing was assigned to.
struct Undefined {
  std::shared_ptr<const std::string> name;  // for messages; may be null
};
struct None {};

/// A value of the template language, with the meaning that Python gives it.
///
/// Texts, lists and dicts never change, so they are shared. A namespace does; it belongs to the run and is pointed to,
/// since it may hold itself.
struct Value {
  using Data = std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const Text>,
                            std::shared_ptr<const List>, std::shared_ptr<const Dict>, Namespace*,
                            std::shared_ptr<const Callable>, std::shared_ptr<const Loop>>;
  Data data;

  Value() = default;
  // Out of line: there are many, and GCC 12 warns wrongly where it inlines them.
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();
  Value(None none) : data(none) {}
  Value(Undefined undefined) : data(std::move(undefined)) {}
  Value(bool flag) : data(flag) {}
  Value(std::int64_t number) : data(number) {}
  Value(double number) : data(number) {}
  template <typename T>
  Value(std::shared_ptr<const T> object) : data(std::move(object)) {}
  Value(Namespace* object) : data(object) {}
  Value(const char*) = delete;  // would become a bool

  [[nodiscard]] bool is_undefined() const noexcept { return std::holds_alternative<Undefined>(data); }
  [[nodiscard]] bool is_none() const noexcept { return std::holds_alternative<None>(data); }
  [[nodiscard]] const bool* boolean() const noexcept { return std::get_if<bool>(&data); }
  [[nodiscard]] const double* real() const noexcept { return std::get_if<double>(&data); }
  [[nodiscard]] const Text* text() const noexcept { return object<Text>(); }
  [[nodiscard]] const List* list() const noexcept { return object<List>(); }
  [[nodiscard]] const Dict* dict() const noexcept { return object<Dict>(); }
  [[nodiscard]] const Callable* callable() const noexcept { return object<Callable>(); }
  [[nodiscard]] const Loop* loop() const noexcept { return object<Loop>(); }
  [[nodiscard]] Namespace* name_space() const noexcept {
    const auto* found = std::get_if<Namespace*>(&data);
    return found == nullptr ? nullptr : *found;
  }
  /// An integer, or a bool as the 0 or 1 that it is to Python.
  [[nodiscard]] const std::int64_t* integer(std::int64_t& storage) const noexcept {
    if (const bool* flag = boolean()) return &(storage = *flag ? 1 : 0);
    const auto* number = std::get_if<std::int64_t>(&data);
    return number == nullptr ? nullptr : &(storage = *number);
  }

 private:
  template <typename T>
  [[nodiscard]] const T* object() const noexcept {
    const auto* found = std::get_if<std::shared_ptr<const T>>(&data);
    return found == nullptr ? nullptr : found->get();
  }
};

/// Several things of Python are a list here; they differ in what may be done with them.
enum class ListKind {
  kList,
  kTuple,
  kRange,      // what range() gives
  kView,       // keys(), values() and items() of a dict: no indexing
  kGenerator,  // what map, select and the like give: no length, always true, and empty the second time
};

struct List {
  std::vector<Value> items;
  ListKind kind = ListKind::kList;
  std::size_t depth = 1;  // lists within lists; bounds every recursion over values
  mutable bool is_used_up = false;
};

/// In the order of insertion. Templates look up few keys in small dicts, so a search from the front does.
struct Dict {
  using Entry = std::pair<Value, Value>;
  std::vector<Entry> entries;
  std::size_t depth = 1;
};

struct Namespace {
  std::map<std::string, Value, std::less<>> variables;
};

struct Builtin;
struct MacroStatement;
struct Scope;

/// A function of ours, with what it is a method of, or a macro, with where it was defined.
struct Callable {
  const Builtin* builtin = nullptr;
  Value self;
  std::size_t depth = 1;
  const MacroStatement* macro = nullptr;
  Scope* scope = nullptr;
};

/// The variable `loop`.
struct Loop {
  std::shared_ptr<const std::vector<Value>> items;
  mutable std::size_t index = 0;
  std::size_t depth = 1;  // of `items`
};

/// "a string", "a list of 3", ... for messages.
[[nodiscard]] std::string describe(const Value& value);
/// How deep values lie within this one.
[[nodiscard]] std::size_t depth_of(const Value& value) noexcept;
[[nodiscard]] bool is_true(const Value& value) noexcept;

}  // namespace tern::chat
