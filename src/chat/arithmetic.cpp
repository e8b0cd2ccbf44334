#include <cmath>
#include <limits>

#include "src/chat/operations.h"

namespace tern::chat {
namespace {

[[noreturn]] void refuse_overflow(const Run& run) { run.refuse("expected integers of at most 64 bits, found more"); }

std::int64_t floor_divide(const Run& run, std::int64_t a, std::int64_t b) {
  if (b == 0) run.fail("expected a divisor, found zero");
  if (b == -1 && a == std::numeric_limits<std::int64_t>::min()) refuse_overflow(run);
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t modulo(const Run& run, std::int64_t a, std::int64_t b) {
  if (b == 0) run.fail("expected a divisor, found zero");
  if (b == -1) return 0;  // the machine's division would overflow for the smallest integer
  const std::int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

std::int64_t multiply(const Run& run, std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) refuse_overflow(run);
  return product;
}

Value power(const Run& run, std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) run.fail("expected a divisor, found zero");
    return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  }
  std::int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = multiply(run, result, base);
    if (exponent > 1) base = multiply(run, base, base);
  }
  return result;
}

Value apply_integers(const Run& run, Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (op) {
    case Operator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) refuse_overflow(run);
      return result;
    case Operator::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) refuse_overflow(run);
      return result;
    case Operator::kMultiply:
      return multiply(run, a, b);
    case Operator::kFloorDivide:
      return floor_divide(run, a, b);
    case Operator::kModulo:
      return modulo(run, a, b);
    case Operator::kPower:
      return power(run, a, b);
    default:
      if (b == 0) run.fail("expected a divisor, found zero");
      return static_cast<double>(a) / static_cast<double>(b);
  }
}

/// Python's floor of a quotient, whose remainder has the sign of the divisor.
double modulo(double a, double b) {
  const double rest = std::fmod(a, b);
  return rest != 0.0 && (rest < 0.0) != (b < 0.0) ? rest + b : std::copysign(rest, rest == 0.0 ? b : rest);
}

double real_power(const Run& run, double a, double b) {
  if (a == 0.0 && b < 0.0) run.fail("expected a divisor, found zero");
  const double result = std::pow(a, b);
  if (std::isnan(result) && !std::isnan(a) && !std::isnan(b)) run.refuse("expected a real power, found a complex one");
  return result;
}

Value apply_reals(const Run& run, Operator op, double a, double b) {
  const bool divides = op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b == 0.0) run.fail("expected a divisor, found zero");
  switch (op) {
    case Operator::kAdd:
      return a + b;
    case Operator::kSubtract:
      return a - b;
    case Operator::kMultiply:
      return a * b;
    case Operator::kDivide:
      return a / b;
    case Operator::kFloorDivide:
      return std::floor((a - modulo(a, b)) / b + 0.5);  // the difference is a multiple of b, but for rounding
    case Operator::kModulo:
      return modulo(a, b);
    default:
      return real_power(run, a, b);
  }
}

/// How many elements `size` of them, `times` over, are.
std::size_t repeated_size(const Run& run, std::size_t size, std::int64_t times, std::size_t max) {
  const std::size_t n = times < 0 ? 0 : static_cast<std::size_t>(times);
  if (n != 0 && size > max / n) run.refuse("expected at most {} elements, found {} times {}", max, n, size);
  return size * n;
}

/// string * integer, list * integer; nullopt for other types.
std::optional<Value> repeat(Run& run, const Value& value, std::int64_t times) {
  if (const Text* text = value.text()) {
    const std::size_t size = repeated_size(run, text->size(), times, kMaxCharacters);
    Text result;
    while (result.size() < size) run.append(result, *text);
    return run.text(std::move(result));
  }
  const List* list = value.list();
  if (list == nullptr || (list->kind != ListKind::kList && list->kind != ListKind::kTuple)) return std::nullopt;
  const std::size_t size = repeated_size(run, list->items.size(), times, kMaxElements);
  run.step(size);
  std::vector<Value> items;
  while (items.size() < size) items.insert(items.end(), list->items.begin(), list->items.end());
  return run.list(std::move(items), list->kind);
}

std::optional<Value> join(Run& run, const Value& left, const Value& right) {
  const Text* first = left.text();
  const Text* second = right.text();
  if (first != nullptr && second != nullptr) {
    run.count_characters(first->size() + second->size());
    return std::make_shared<const Text>(*first + *second);
  }
  const List* a = left.list();
  const List* b = right.list();
  if (a == nullptr || b == nullptr || a->kind != b->kind || a->kind > ListKind::kTuple) return std::nullopt;
  run.step(a->items.size() + b->items.size());
  std::vector<Value> items = a->items;
  items.insert(items.end(), b->items.begin(), b->items.end());
  return run.list(std::move(items), a->kind);
}

/// Operators on what is not two numbers; nullopt where there is none.
std::optional<Value> apply_sequences(Run& run, Operator op, const Value& left, const Value& right) {
  if (op == Operator::kAdd) return join(run, left, right);
  if (op == Operator::kModulo && left.text() != nullptr) run.refuse("formatting with % is not supported; use ~ or +");
  if (op != Operator::kMultiply) return std::nullopt;
  std::int64_t times = 0;
  if (right.integer(times) != nullptr) return repeat(run, left, times);
  if (left.integer(times) != nullptr) return repeat(run, right, times);
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Operator op) noexcept {
  constexpr std::string_view kNames[] = {"+", "-", "*", "/", "//", "%", "**", "~"};
  return kNames[static_cast<std::size_t>(op)];
}

std::optional<double> as_real(const Value& value) noexcept {
  std::int64_t integer = 0;
  if (value.integer(integer) != nullptr) return static_cast<double>(integer);
  if (const double* real = value.real()) return *real;
  return std::nullopt;
}

Value apply(Run& run, Operator op, const Value& left, const Value& right) {
  if (op == Operator::kConcatenate) {
    Text text = to_text(run, left);
    run.append(text, to_text(run, right));
    return run.text(std::move(text));
  }
  std::int64_t a = 0;
  std::int64_t b = 0;
  if (left.integer(a) != nullptr && right.integer(b) != nullptr) return apply_integers(run, op, a, b);
  const std::optional<double> x = as_real(left);
  const std::optional<double> y = as_real(right);
  if (x && y) return apply_reals(run, op, *x, *y);
  if (auto result = apply_sequences(run, op, left, right)) return *std::move(result);
  run.fail("expected two values for '{}', found {} and {}", to_string(op), describe(left), describe(right));
}

Value negate(Run& run, const Value& value) {
  std::int64_t integer = 0;
  if (value.integer(integer) != nullptr) return apply_integers(run, Operator::kSubtract, 0, integer);
  if (const double* real = value.real()) return -*real;
  run.fail("expected a number after '-', found {}", describe(value));
}

}  // namespace tern::chat
