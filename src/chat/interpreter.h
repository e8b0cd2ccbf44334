#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/chat/ast.h"
#include "src/chat/run.h"

namespace tern::chat {

/// The variables of the template, a loop's turn, a macro's call or a block; what is not here is looked up further out.
struct Scope : std::enable_shared_from_this<Scope> {
  explicit Scope(std::shared_ptr<Scope> outer) : parent(std::move(outer)) {}

  /// nullptr when neither this scope nor one further out has the name.
  [[nodiscard]] const Value* find(std::string_view name) const;

  std::map<std::string, Value, std::less<>> variables;
  std::shared_ptr<Scope> parent;
};

/// Carries out a parsed template, once.
class Interpreter {
 public:
  explicit Interpreter(Run& run) : run_(run) {}

  /// What the template prints. Functions of tern are found where `globals` says nothing else.
  [[nodiscard]] Text render(const Statements& statements, const std::shared_ptr<Scope>& globals);

 private:
  enum class Flow { kNext, kBreak, kContinue };
  /// Bounds the recursion while it lives.
  class Level;

  // Statements: interpret_statements.cpp.
  Flow execute(const Statements& statements, Scope& scope);
  Flow execute(const TextStatement& statement, Scope& scope);
  Flow execute(const PrintStatement& statement, Scope& scope);
  Flow execute(const IfStatement& statement, Scope& scope);
  Flow execute(const ForStatement& statement, Scope& scope);
  Flow execute(const SetStatement& statement, Scope& scope);
  Flow execute(const CaptureStatement& statement, Scope& scope);
  Flow execute(const MacroStatement& statement, Scope& scope);
  Flow execute(const ScopeStatement& statement, Scope& scope);
  Flow execute(const BreakStatement& statement, Scope& scope);
  Flow execute(const ContinueStatement& statement, Scope& scope);
  /// What a body prints.
  Text capture(const Statements& body, Scope& scope);
  std::shared_ptr<const Loop> start_loop(const ForStatement& statement, Scope& scope);
  void assign(const Target& target, Value value, Scope& scope);

  // Expressions: interpret_expressions.cpp.
  Value evaluate(const Expression& expression, Scope& scope);
  Value evaluate(const Literal& literal, Scope& scope);
  Value evaluate(const Name& name, Scope& scope);
  Value evaluate(const ListDisplay& list, Scope& scope);
  Value evaluate(const DictDisplay& dict, Scope& scope);
  Value evaluate(const Unary& unary, Scope& scope);
  Value evaluate(const Arithmetic& arithmetic, Scope& scope);
  Value evaluate(const Logic& logic, Scope& scope);
  Value evaluate(const Comparisons& comparisons, Scope& scope);
  Value evaluate(const Conditional& conditional, Scope& scope);
  Value evaluate(const Suffixed& suffixed, Scope& scope);
  Value apply(const Value& value, const AttributeSuffix& suffix, Scope& scope);
  Value apply(const Value& value, const ItemSuffix& suffix, Scope& scope);
  Value apply(const Value& value, const SliceSuffix& suffix, Scope& scope);
  Value apply(const Value& value, const CallSuffix& suffix, Scope& scope);
  Value apply(const Value& value, const FilterSuffix& suffix, Scope& scope);
  Value apply(const Value& value, const TestSuffix& suffix, Scope& scope);
  Arguments evaluate_arguments(const CallArguments& arguments, Scope& scope);
  Value call_macro(const Callable& callable, Arguments arguments);
  void bind_parameters(const MacroStatement& macro, Arguments& arguments, Scope& scope);

  Run& run_;
  Text* out_ = nullptr;
  std::size_t depth_ = 0;
  std::vector<std::shared_ptr<Scope>> kept_;  // scopes that macros were defined in, which they go on to see
};

class Interpreter::Level {
 public:
  Level(Interpreter& interpreter, std::size_t line) : interpreter_(interpreter) {
    interpreter_.run_.line = line;
    interpreter_.run_.step();
    if (interpreter_.depth_ == kMaxDepth) {
      interpreter_.run_.refuse("expected at most {} levels within each other while rendering, found more", kMaxDepth);
    }
    ++interpreter_.depth_;
  }
  ~Level() { --interpreter_.depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Interpreter& interpreter_;
};

}  // namespace tern::chat
