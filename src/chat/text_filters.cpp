// Filters of texts, numbers and single values.

#include <array>
#include <charconv>
#include <cmath>

#include "src/chat/builtins.h"
#include "src/chat/json.h"
#include "src/chat/operations.h"
#include "src/chat/text_operations.h"

namespace tern::chat {
namespace {

/// What most filters of texts begin with: any value as a text.
Text self_text(const Call& call) { return to_text(call.run, call.self); }

Value filter_trim(Call& call) {
  const Text text = self_text(call);
  const Text* set = call.has(0) ? &call.text(0) : nullptr;
  count_strip(call.run, text, set);
  return call.run.text(strip(text, set));
}

/// A letter is a capital at the begin and after white space, a hyphen or an opening bracket.
Value filter_title(Call& call) {
  Text text = self_text(call);
  bool in_word = false;
  for (Char& c : text) {
    c = in_word ? lower(c) : upper(c);
    const Char code = code_point(c);
    in_word = !is_space(c) && code != '-' && code != '(' && code != '{' && code != '[' && code != '<';
  }
  return call.run.text(std::move(text));
}

Value filter_replace(Call& call) {
  const std::int64_t n = call.integer_or(2, -1);
  const auto max_count = n < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(n));
  return call.run.text(
      replace(call.run, self_text(call), to_text(call.run, call[0]), to_text(call.run, call[1]), max_count));
}

/// Spaces, or the text that is given instead of their number.
Text indentation(Call& call, std::size_t i, std::int64_t otherwise) {
  if (call.has(i) && call[i].text() != nullptr) return to_text(call.run, call[i]);
  const std::int64_t width = std::max<std::int64_t>(call.integer_or(i, otherwise), 0);
  call.run.count_characters(static_cast<std::size_t>(width));
  return Text(static_cast<std::size_t>(width), U' ');
}

Value filter_indent(Call& call) {
  if (call.self.text() == nullptr) call.run.fail("indent: expected a string, found {}", describe(call.self));
  const Text width = indentation(call, 0, 4);
  const bool indents_first = call.flag_or(1, false);
  const bool indents_blank = call.flag_or(2, false);
  const Text text = self_text(call) + U'\n';  // as Jinja does, so that no last line is lost
  Text result;
  bool first = true;
  for (const TextView line : split_lines(call.run, text, false)) {
    if (!first) call.run.append(result, from_ascii("\n"));
    if ((first && indents_first) || (!first && (indents_blank || !line.empty()))) call.run.append(result, width);
    call.run.append(result, line);
    first = false;
  }
  return call.run.text(std::move(result));
}

Value filter_escape(Call& call) {
  Text result;
  for (const Char c : self_text(call)) {
    const Char code = code_point(c);
    Text part(1, c);
    if (code == '&') part = from_ascii("&amp;");
    if (code == '<') part = from_ascii("&lt;");
    if (code == '>') part = from_ascii("&gt;");
    if (code == '\'') part = from_ascii("&#39;");
    if (code == '"') part = from_ascii("&#34;");
    for (Char& each : part) each |= c & kUserBit;
    call.run.append(result, part);
  }
  return call.run.text(std::move(result));
}

Value filter_default(Call& call) {
  const bool replaces = call.self.is_undefined() || (call.flag_or(1, false) && !is_true(call.self));
  if (!replaces) return call.self;
  return call.values[0] ? call[0] : call.run.text(std::string_view());
}

/// The whole of a text as a number, white space around it aside.
template <typename Number>
std::optional<Number> parse_number(Run& run, const Text& text) {
  run.step_through(text.size());
  std::string digits = to_utf8(strip(text));
  std::string_view rest = digits;
  if (rest.starts_with('+') && !rest.starts_with("+-")) rest.remove_prefix(1);
  Number number{};
  const auto result = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (rest.empty() || result.ec != std::errc() || result.ptr != rest.data() + rest.size()) return std::nullopt;
  return number;
}

std::optional<std::int64_t> truncate(double real) {
  if (!(std::fabs(real) < 9.2e18)) return std::nullopt;  // the range of 64 bits, with room
  return static_cast<std::int64_t>(real);
}

Value filter_int(Call& call) {
  if (call.integer_or(1, 10) != 10) call.run.refuse("int: expected base 10, found {}", describe(call[1]));
  const Value otherwise = call.values[0] ? call[0] : Value(std::int64_t{0});
  std::int64_t integer = 0;
  if (call.self.integer(integer) != nullptr) return integer;
  std::optional<double> real;
  if (call.self.real() != nullptr) real = *call.self.real();
  if (const Text* text = call.self.text()) {
    if (const auto number = parse_number<std::int64_t>(call.run, *text)) return *number;
    real = parse_number<double>(call.run, *text);
  }
  if (call.self.is_undefined()) call.run.fail("int: expected a value, found {}", describe(call.self));
  const auto truncated = real ? truncate(*real) : std::nullopt;
  return truncated ? Value(*truncated) : otherwise;
}

Value filter_float(Call& call) {
  if (const auto real = as_real(call.self)) return *real;
  if (call.self.is_undefined()) call.run.fail("float: expected a value, found {}", describe(call.self));
  if (const Text* text = call.self.text()) {
    if (const auto number = parse_number<double>(call.run, *text)) return *number;
  }
  return call.values[0] ? call[0] : Value(0.0);
}

Value filter_abs(Call& call) {
  std::int64_t integer = 0;
  if (call.self.integer(integer) != nullptr) return integer < 0 ? negate(call.run, integer) : Value(integer);
  if (call.self.real() == nullptr) call.run.fail("abs: expected a number, found {}", describe(call.self));
  return std::fabs(*call.self.real());
}

Value filter_round(Call& call) {
  const auto real = as_real(call.self);
  if (!real) call.run.fail("round: expected a number, found {}", describe(call.self));
  const std::int64_t precision = call.integer_or(0, 0);
  if (precision < 0 || precision > 15) call.run.refuse("round: expected 0 to 15 digits, found {}", precision);
  const std::string method = call.has(1) ? to_utf8(call.text(1)) : "common";
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return std::ceil(*real * scale) / scale;
  if (method == "floor") return std::floor(*real * scale) / scale;
  if (method != "common") call.run.fail("round: expected common, ceil or floor, found {}", describe(call[1]));
  std::int64_t integer = 0;
  if (call.self.integer(integer) != nullptr) return integer;
  if (!(std::fabs(*real) < 0x1p53)) return *real;  // not finite, or without a fraction, which would take long to spell
  double rounded = 0.0;                            // the decimal spelling is rounded, halves to even, as Python does
  const std::string digits = fmt::format("{:.{}f}", *real, precision);
  std::from_chars(digits.data(), digits.data() + digits.size(), rounded);
  return rounded;
}

/// Hugging Face's, which keeps all characters: json.dumps(value, ensure_ascii, indent, separators, sort_keys).
Value filter_tojson(Call& call) {
  JsonStyle style;
  style.ensure_ascii = call.flag_or(0, false);
  if (call.has(1)) style.indent = indentation(call, 1, 0);
  style.item_separator = from_ascii(style.indent ? "," : ", ");
  style.key_separator = from_ascii(": ");
  if (call.has(2)) {
    const auto separators = elements(call.run, call[2]);
    const bool fits =
        separators->size() == 2 && (*separators)[0].text() != nullptr && (*separators)[1].text() != nullptr;
    if (!fits) call.run.fail("tojson: expected two separators, found {}", describe(call[2]));
    style.item_separator = to_text(call.run, (*separators)[0]);
    style.key_separator = to_text(call.run, (*separators)[1]);
  }
  style.sort_keys = call.flag_or(3, false);
  return call.run.text(to_json(call.run, call.self, style));
}

constexpr auto kFilters = std::to_array<Builtin>({
    {"abs", "", filter_abs},
    {"capitalize", "", [](Call& call) { return call.run.text(capitalize(self_text(call))); }},
    {"d", "default_value? boolean?", filter_default},
    {"default", "default_value? boolean?", filter_default},
    {"e", "", filter_escape},
    {"escape", "", filter_escape},
    {"float", "default?", filter_float},
    {"indent", "width? first? blank?", filter_indent},
    {"int", "default? base?", filter_int},
    {"lower", "", [](Call& call) { return call.run.text(lower(self_text(call))); }},
    {"replace", "old new count?", filter_replace},
    {"round", "precision? method?", filter_round},
    {"safe", "", [](Call& call) { return call.run.text(self_text(call)); }},  // nothing is escaped anyway
    {"string", "", [](Call& call) { return call.run.text(self_text(call)); }},
    {"title", "", filter_title},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", filter_tojson},
    {"trim", "chars?", filter_trim},
    {"upper", "", [](Call& call) { return call.run.text(upper(self_text(call))); }},
});

}  // namespace

std::span<const Builtin> text_filters() noexcept { return kFilters; }

}  // namespace tern::chat
