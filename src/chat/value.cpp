#include "src/chat/value.h"

#include <fmt/core.h>

#include "src/base/printable.h"
#include "src/chat/builtins.h"

namespace tern::chat {
namespace {

std::string describe_list(const List& list) {
  switch (list.kind) {
    case ListKind::kList:
      return fmt::format("a list of {}", list.items.size());
    case ListKind::kTuple:
      return fmt::format("a tuple of {}", list.items.size());
    case ListKind::kRange:
      return fmt::format("a range of {}", list.items.size());
    case ListKind::kView:
      return "a view of a dict";
    case ListKind::kGenerator:
      break;
  }
  return "a generator";
}

}  // namespace

Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

std::string describe(const Value& value) {
  struct {
    std::string operator()(const Undefined& v) const {
      return v.name == nullptr ? "an undefined value" : fmt::format("'{}', which is not defined", printable(*v.name));
    }
    std::string operator()(None) const { return "none"; }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return fmt::format("the integer {}", v); }
    std::string operator()(double v) const { return fmt::format("the number {}", v); }
    std::string operator()(const std::shared_ptr<const Text>& v) const {
      return fmt::format("the string '{}'", printable(to_utf8(TextView(*v).substr(0, 65))));
    }
    std::string operator()(const std::shared_ptr<const List>& v) const { return describe_list(*v); }
    std::string operator()(const std::shared_ptr<const Dict>& v) const {
      return fmt::format("a dict of {}", v->entries.size());
    }
    std::string operator()(Namespace*) const { return "a namespace"; }
    std::string operator()(const std::shared_ptr<const Callable>& v) const {
      return v->builtin == nullptr ? "a macro" : fmt::format("the function '{}'", v->builtin->name);
    }
    std::string operator()(const std::shared_ptr<const Loop>&) const { return "the variable loop"; }
  } text;
  return std::visit(text, value.data);
}

std::size_t depth_of(const Value& value) noexcept {
  if (const List* list = value.list()) return list->depth;
  if (const Dict* dict = value.dict()) return dict->depth;
  if (const Callable* callable = value.callable()) return callable->depth;
  if (const Loop* loop = value.loop()) return loop->depth;
  return 0;
}

bool is_true(const Value& value) noexcept {
  if (value.is_undefined() || value.is_none()) return false;
  if (const bool* flag = value.boolean()) return *flag;
  std::int64_t number = 0;
  if (value.integer(number) != nullptr) return number != 0;
  if (const double* real = value.real()) return *real != 0.0;
  if (const Text* text = value.text()) return !text->empty();
  if (const List* list = value.list()) return list->kind == ListKind::kGenerator || !list->items.empty();
  if (const Dict* dict = value.dict()) return !dict->entries.empty();
  return true;
}

}  // namespace tern::chat
