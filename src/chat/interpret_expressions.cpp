#include <algorithm>

#include "src/base/printable.h"
#include "src/chat/interpreter.h"
#include "src/chat/operations.h"

namespace tern::chat {

Value Interpreter::evaluate(const Expression& expression, Scope& scope) {
  const Level level(*this, expression.line);
  return std::visit([&](const auto& kind) { return evaluate(kind, scope); }, expression.kind);
}

Value Interpreter::evaluate(const Literal& literal, Scope& /*scope*/) { return literal.value; }

Value Interpreter::evaluate(const Name& name, Scope& scope) {
  if (const Value* found = scope.find(name.name)) return *found;
  for (const Builtin& function : functions()) {
    if (function.name == name.name) return run_.method(function, None{});
  }
  return Undefined{std::make_shared<const std::string>(name.name)};
}

Value Interpreter::evaluate(const ListDisplay& list, Scope& scope) {
  std::vector<Value> items;
  for (const ExpressionPtr& item : list.items) items.push_back(evaluate(*item, scope));
  return run_.list(std::move(items), list.kind);
}

Value Interpreter::evaluate(const DictDisplay& dict, Scope& scope) {
  std::vector<Dict::Entry> entries;
  for (const auto& [key, value] : dict.entries) {
    Value evaluated_key = evaluate(*key, scope);
    put(run_, entries, std::move(evaluated_key), evaluate(*value, scope));
  }
  return run_.dict(std::move(entries));
}

Value Interpreter::evaluate(const Unary& unary, Scope& scope) {
  const Value value = evaluate(*unary.operand, scope);
  if (unary.kind == Unary::Kind::kNot) return !is_true(value);
  if (unary.kind == Unary::Kind::kMinus) return negate(run_, value);
  return negate(run_, negate(run_, value));
}

Value Interpreter::evaluate(const Arithmetic& arithmetic, Scope& scope) {
  Value value = evaluate(*arithmetic.first, scope);
  for (const auto& [op, operand] : arithmetic.rest) {
    value = chat::apply(run_, op, value, evaluate(*operand, scope));
  }
  return value;
}

Value Interpreter::evaluate(const Logic& logic, Scope& scope) {
  Value value;
  for (const ExpressionPtr& operand : logic.operands) {
    value = evaluate(*operand, scope);
    if (is_true(value) != logic.is_and) break;
  }
  return value;
}

Value Interpreter::evaluate(const Comparisons& comparisons, Scope& scope) {
  Value left = evaluate(*comparisons.first, scope);
  for (const auto& [comparison, operand] : comparisons.rest) {
    Value right = evaluate(*operand, scope);
    if (!compare(run_, comparison, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::evaluate(const Conditional& conditional, Scope& scope) {
  if (is_true(evaluate(*conditional.test, scope))) return evaluate(*conditional.then, scope);
  if (conditional.otherwise != nullptr) return evaluate(*conditional.otherwise, scope);
  return {};
}

Value Interpreter::evaluate(const Suffixed& suffixed, Scope& scope) {
  Value value = evaluate(*suffixed.base, scope);
  for (const Suffix& suffix : suffixed.suffixes) {
    run_.step();
    run_.line = suffix.line;
    value = std::visit([&](const auto& kind) { return apply(value, kind, scope); }, suffix.kind);
  }
  return value;
}

Value Interpreter::apply(const Value& value, const AttributeSuffix& suffix, Scope& /*scope*/) {
  return attribute(run_, value, suffix.name, suffix.key);
}

Value Interpreter::apply(const Value& value, const ItemSuffix& suffix, Scope& scope) {
  return item(run_, value, evaluate(*suffix.index, scope));
}

Value Interpreter::apply(const Value& value, const SliceSuffix& suffix, Scope& scope) {
  const auto bound = [&](const ExpressionPtr& expression) {
    return expression == nullptr ? Value(None{}) : evaluate(*expression, scope);
  };
  Value start = bound(suffix.start);
  Value stop = bound(suffix.stop);
  return slice(run_, value, {std::move(start), std::move(stop), bound(suffix.step)});
}

Value Interpreter::apply(const Value& value, const CallSuffix& suffix, Scope& scope) {
  const Callable* callable = value.callable();
  if (value.is_undefined()) run_.refuse("expected a function that tern has, found {}", describe(value));
  if (callable == nullptr) run_.fail("expected a function to call, found {}", describe(value));
  Arguments arguments = evaluate_arguments(suffix.arguments, scope);
  if (callable->macro != nullptr) return call_macro(*callable, std::move(arguments));
  return invoke(run_, *callable->builtin, callable->self, std::move(arguments));
}

Value Interpreter::apply(const Value& value, const FilterSuffix& suffix, Scope& scope) {
  if (suffix.filter == nullptr) run_.refuse("expected a filter that tern has, found '{}'", printable(suffix.name));
  return invoke(run_, *suffix.filter, value, evaluate_arguments(suffix.arguments, scope));
}

Value Interpreter::apply(const Value& value, const TestSuffix& suffix, Scope& scope) {
  if (suffix.test == nullptr) run_.refuse("expected a test that tern has, found '{}'", printable(suffix.name));
  const Value result = invoke(run_, *suffix.test, value, evaluate_arguments(suffix.arguments, scope));
  return is_true(result) != suffix.is_negated;
}

Arguments Interpreter::evaluate_arguments(const CallArguments& arguments, Scope& scope) {
  Arguments values;
  for (const ExpressionPtr& argument : arguments.positional) values.positional.push_back(evaluate(*argument, scope));
  for (const auto& [name, argument] : arguments.named) values.named.emplace_back(name, evaluate(*argument, scope));
  return values;
}

Value Interpreter::call_macro(const Callable& callable, Arguments arguments) {
  const std::size_t caller_line = run_.line;
  const Level level(*this, run_.line);
  const auto scope = std::make_shared<Scope>(callable.scope->shared_from_this());
  bind_parameters(*callable.macro, arguments, *scope);
  Value result = run_.text(capture(callable.macro->body, *scope));
  run_.line = caller_line;
  return result;
}

void Interpreter::bind_parameters(const MacroStatement& macro, Arguments& arguments, Scope& scope) {
  run_.step(macro.parameters.size() * (kVariableSteps + arguments.named.size() / 4));
  if (arguments.positional.size() > macro.parameters.size()) {
    run_.fail("macro '{}': expected at most {} arguments, found {}", printable(macro.name), macro.parameters.size(),
              arguments.positional.size());
  }
  for (const auto& [name, value] : arguments.named) {
    const auto is_parameter = [&name = name](const auto& parameter) { return parameter.name == name; };
    if (std::none_of(macro.parameters.begin(), macro.parameters.end(), is_parameter)) {
      run_.fail("macro '{}': expected the name of a parameter, found '{}'", printable(macro.name), printable(name));
    }
    scope.variables.insert_or_assign(name, value);
  }
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const auto& parameter = macro.parameters[i];
    if (i < arguments.positional.size()) {
      if (!scope.variables.emplace(parameter.name, arguments.positional[i]).second) {
        run_.fail("macro '{}': expected one value for '{}', found two", printable(macro.name),
                  printable(parameter.name));
      }
    } else if (scope.variables.find(parameter.name) == scope.variables.end()) {
      const ExpressionPtr& otherwise = parameter.otherwise;
      scope.variables.emplace(parameter.name, otherwise == nullptr
                                                  ? Undefined{std::make_shared<const std::string>(parameter.name)}
                                                  : evaluate(*otherwise, scope));
    }
  }
}

}  // namespace tern::chat
