#include <algorithm>

#include "src/base/printable.h"
#include "src/chat/interpreter.h"
#include "src/chat/operations.h"

namespace tern::chat {
namespace {

constexpr std::size_t kMacroSteps = 100;  // a scope that is kept is dearer than other work

}  // namespace

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
    if (const auto found = scope->variables.find(name); found != scope->variables.end()) return &found->second;
  }
  return nullptr;
}

Text Interpreter::render(const Statements& statements, const std::shared_ptr<Scope>& globals) {
  return capture(statements, *globals);
}

Text Interpreter::capture(const Statements& body, Scope& scope) {
  Text text;
  Text* const outer = std::exchange(out_, &text);
  const auto inner = std::make_shared<Scope>(scope.shared_from_this());
  execute(body, *inner);
  out_ = outer;
  return text;
}

Interpreter::Flow Interpreter::execute(const Statements& statements, Scope& scope) {
  for (const Statement& statement : statements) {
    const Level level(*this, statement.line);
    const Flow flow = std::visit([&](const auto& kind) { return execute(kind, scope); }, statement.kind);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const TextStatement& statement, Scope& /*scope*/) {
  run_.append(*out_, statement.text);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const PrintStatement& statement, Scope& scope) {
  const Value value = evaluate(*statement.value, scope);
  if (const Text* text = value.text()) {
    run_.append(*out_, *text);
  } else {
    run_.append(*out_, to_text(run_, value));
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const IfStatement& statement, Scope& scope) {
  for (const auto& [test, body] : statement.branches) {
    if (is_true(evaluate(*test, scope))) return execute(body, scope);
  }
  return execute(statement.otherwise, scope);
}

std::shared_ptr<const Loop> Interpreter::start_loop(const ForStatement& statement, Scope& scope) {
  const Value sequence = evaluate(*statement.sequence, scope);
  const std::size_t depth = std::max<std::size_t>(depth_of(sequence), 1);
  auto items = elements(run_, sequence);
  if (statement.condition != nullptr) {
    std::vector<Value> chosen;
    for (const Value& item : *items) {
      const auto turn = std::make_shared<Scope>(scope.shared_from_this());
      assign(statement.target, item, *turn);
      if (is_true(evaluate(*statement.condition, *turn))) chosen.push_back(item);
    }
    items = std::make_shared<const std::vector<Value>>(std::move(chosen));
  }
  return std::make_shared<const Loop>(Loop{std::move(items), 0, depth});
}

Interpreter::Flow Interpreter::execute(const ForStatement& statement, Scope& scope) {
  const std::shared_ptr<const Loop> loop = start_loop(statement, scope);
  if (loop->items->empty()) {
    const auto inner = std::make_shared<Scope>(scope.shared_from_this());
    return execute(statement.otherwise, *inner);
  }
  for (const Value& item : *loop->items) {
    run_.step();
    const auto turn = std::make_shared<Scope>(scope.shared_from_this());
    turn->variables.emplace("loop", loop);
    assign(statement.target, item, *turn);
    if (execute(statement.body, *turn) == Flow::kBreak) break;
    ++loop->index;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const SetStatement& statement, Scope& scope) {
  assign(statement.target, evaluate(*statement.value, scope), scope);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const CaptureStatement& statement, Scope& scope) {
  Value value = run_.text(capture(statement.body, scope));
  for (const FilterSuffix& filter : statement.filters) value = apply(value, filter, scope);
  if (statement.target.names.empty()) {
    run_.append(*out_, to_text(run_, value));
  } else {
    assign(statement.target, std::move(value), scope);
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const MacroStatement& statement, Scope& scope) {
  run_.step(kMacroSteps);
  kept_.push_back(scope.shared_from_this());
  scope.variables.insert_or_assign(statement.name,
                                   std::make_shared<const Callable>(Callable{nullptr, {}, 1, &statement, &scope}));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::execute(const ScopeStatement& statement, Scope& scope) {
  const auto inner = std::make_shared<Scope>(scope.shared_from_this());
  return execute(statement.body, *inner);
}

Interpreter::Flow Interpreter::execute(const BreakStatement& /*statement*/, Scope& /*scope*/) { return Flow::kBreak; }
Interpreter::Flow Interpreter::execute(const ContinueStatement& /*statement*/, Scope& /*scope*/) {
  return Flow::kContinue;
}

void Interpreter::assign(const Target& target, Value value, Scope& scope) {
  const std::string& name = target.names[0];
  if (!target.attribute.empty()) {
    const Value* variable = scope.find(name);
    Namespace* space = variable == nullptr ? nullptr : variable->name_space();
    if (space == nullptr) {
      run_.fail("expected a namespace to set '{}' of, found '{}', which is {}", printable(target.attribute),
                printable(name), variable == nullptr ? "not defined" : describe(*variable));
    }
    space->variables.insert_or_assign(target.attribute, std::move(value));
    return;
  }
  if (!target.is_tuple) {
    scope.variables.insert_or_assign(name, std::move(value));
    return;
  }
  const auto parts = elements(run_, value);
  run_.step(target.names.size() * kVariableSteps);
  if (parts->size() != target.names.size()) {
    run_.fail("expected {} values to assign, found {}", target.names.size(), parts->size());
  }
  for (std::size_t i = 0; i < parts->size(); ++i) scope.variables.insert_or_assign(target.names[i], (*parts)[i]);
}

}  // namespace tern::chat
