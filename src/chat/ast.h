#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/chat/builtins.h"
#include "src/chat/operations.h"
#include "src/chat/value.h"

namespace tern::chat {

// What the parser makes of a template and the interpreter carries out. Operators of one level and what follows a value
// are lists, not nested, so that only brackets and statements make it deep, and the parser bounds those.

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

struct Literal {
  Value value;
};
struct Name {
  std::string name;
};
struct ListDisplay {
  std::vector<ExpressionPtr> items;
  ListKind kind = ListKind::kList;  // or kTuple
};
struct DictDisplay {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Unary {
  enum class Kind { kNot, kMinus, kPlus } kind;
  ExpressionPtr operand;
};
/// first op operand op operand ..., from left to right.
struct Arithmetic {
  ExpressionPtr first;
  std::vector<std::pair<Operator, ExpressionPtr>> rest;
};
/// `and` or `or`: the first operand that decides, or the last.
struct Logic {
  bool is_and = false;
  std::vector<ExpressionPtr> operands;
};
/// a < b < c is a < b and b < c.
struct Comparisons {
  ExpressionPtr first;
  std::vector<std::pair<Comparison, ExpressionPtr>> rest;
};
/// `then if test else otherwise`.
struct Conditional {
  ExpressionPtr test;
  ExpressionPtr then;
  ExpressionPtr otherwise;  // null: undefined
};

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
};

// What may follow a value.
struct AttributeSuffix {
  std::string name;
  Value key;  // the name as a value
};
struct ItemSuffix {
  ExpressionPtr index;
};
struct SliceSuffix {
  ExpressionPtr start, stop, step;  // null where left out
};
struct CallSuffix {
  CallArguments arguments;
};
// A filter or test that tern does not have is refused where it is applied, and not before: templates have branches for
// other programs.
struct FilterSuffix {
  std::string name;
  const Builtin* filter = nullptr;  // null: unknown
  CallArguments arguments;
};
struct TestSuffix {
  std::string name;
  const Builtin* test = nullptr;  // null: unknown
  CallArguments arguments;
  bool is_negated = false;
};
struct Suffix {
  std::size_t line = 0;
  std::variant<AttributeSuffix, ItemSuffix, SliceSuffix, CallSuffix, FilterSuffix, TestSuffix> kind;
};
struct Suffixed {
  ExpressionPtr base;
  std::vector<Suffix> suffixes;
};

struct Expression {
  std::size_t line = 0;
  std::variant<Literal, Name, ListDisplay, DictDisplay, Unary, Arithmetic, Logic, Comparisons, Conditional, Suffixed>
      kind;
};

struct Statement;
using Statements = std::vector<Statement>;

/// Names that take the parts of a value, one name takes it whole; or an attribute of a namespace.
struct Target {
  std::vector<std::string> names;
  bool is_tuple = false;
  std::string attribute = {};  // of names[0] when not empty
};

struct TextStatement {
  Text text;
};
struct PrintStatement {
  ExpressionPtr value;
};
struct IfStatement {
  std::vector<std::pair<ExpressionPtr, Statements>> branches;
  Statements otherwise;
};
struct ForStatement {
  Target target;
  ExpressionPtr sequence;
  ExpressionPtr condition;  // null: all
  Statements body;
  Statements otherwise;
};
struct SetStatement {
  Target target;
  ExpressionPtr value;
};
/// {% set x %}...{% endset %} and {% filter f %}...{% endfilter %}: what the body prints, through filters.
struct CaptureStatement {
  Target target;  // without names: printed
  std::vector<FilterSuffix> filters;
  Statements body;
};
struct MacroStatement {
  std::string name;
  struct Parameter {
    std::string name;
    ExpressionPtr otherwise;  // null: undefined
  };
  std::vector<Parameter> parameters;
  Statements body;
};
/// {% generation %}...{% endgeneration %}: marks what the model says, for training; here only a scope.
struct ScopeStatement {
  Statements body;
};
struct BreakStatement {};
struct ContinueStatement {};

struct Statement {
  std::size_t line = 0;
  std::variant<TextStatement, PrintStatement, IfStatement, ForStatement, SetStatement, CaptureStatement, MacroStatement,
               ScopeStatement, BreakStatement, ContinueStatement>
      kind;
};

}  // namespace tern::chat
