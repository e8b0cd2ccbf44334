#include <cmath>

#include "src/chat/operations.h"

namespace tern::chat {
namespace {

/// Whether repr() shows the character itself. Python asks the Unicode tables; here everything beyond Latin-1 is
/// printable but separators, private and unassigned ones at the end of their planes.
bool is_printable(Char c) noexcept {
  c = code_point(c);
  if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) return false;
  return !(c >= 0x2000 && c <= 0x200F) && !(c >= 0x2028 && c <= 0x202F) && c != 0x3000 && c != 0xFEFF && c < kBadByte &&
         !(c >= 0xE000 && c <= 0xF8FF);
}

Text escape(Char c) {
  const Char code = code_point(c);
  Text text;
  if (code == '\n') {
    text = from_ascii("\\n");
  } else if (code == '\r') {
    text = from_ascii("\\r");
  } else if (code == '\t') {
    text = from_ascii("\\t");
  } else {
    const auto number = static_cast<std::uint32_t>(code);
    text = from_ascii(number < 0x100     ? fmt::format("\\x{:02x}", number)
                      : number < 0x10000 ? fmt::format("\\u{:04x}", number)
                                         : fmt::format("\\U{:08x}", number));
  }
  for (Char& each : text) each |= c & kUserBit;
  return text;
}

/// In single quotes, unless only double ones spare an escape.
void append_quoted(Run& run, const Text& text, Text& out) {
  const bool doubled = text.find(U'\'') != Text::npos && text.find(U'"') == Text::npos;
  const Char quote = doubled ? U'"' : U'\'';
  out += quote;
  run.count_characters(text.size() + 2);
  for (const Char c : text) {
    const bool is_special = CharTraits::eq(c, quote) || CharTraits::eq(c, U'\\');
    if (is_special) out += U'\\' | (c & kUserBit);
    if (is_special || is_printable(c)) {
      out += c;
    } else {
      run.append(out, escape(c));
    }
  }
  out += quote;
}

void append_list(Run& run, const List& list, Text& out) {
  if (list.kind > ListKind::kTuple) {
    run.refuse("expected a value that can be printed, found {} (the filter list makes a list of it)",
               list.kind == ListKind::kGenerator ? "a generator" : "a view or a range");
  }
  const bool is_tuple = list.kind == ListKind::kTuple;
  run.append(out, from_ascii(is_tuple ? "(" : "["));
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) run.append(out, from_ascii(", "));
    append_repr(run, list.items[i], out);
  }
  run.append(out, from_ascii(!is_tuple ? "]" : list.items.size() == 1 ? ",)" : ")"));
}

void append_dict(Run& run, const Dict& dict, Text& out) {
  run.append(out, from_ascii("{"));
  for (std::size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) run.append(out, from_ascii(", "));
    append_repr(run, dict.entries[i].first, out);
    run.append(out, from_ascii(": "));
    append_repr(run, dict.entries[i].second, out);
  }
  run.append(out, from_ascii("}"));
}

}  // namespace

std::string number_text(double number) {
  if (std::isnan(number)) return "nan";
  std::string text = fmt::format("{}", number);  // the shortest that reads back as the same number, as Python's
  const bool looks_integer = text.find_first_not_of("-0123456789") == std::string::npos;
  return looks_integer ? text + ".0" : text;
}

void append_repr(Run& run, const Value& value, Text& out) {
  run.step();
  if (const Text* text = value.text()) {
    append_quoted(run, *text, out);
  } else if (const List* list = value.list()) {
    append_list(run, *list, out);
  } else if (const Dict* dict = value.dict()) {
    append_dict(run, *dict, out);
  } else if (value.is_undefined()) {
    run.append(out, from_ascii("Undefined"));
  } else {
    run.append(out, to_text(run, value));
  }
}

Text to_text(Run& run, const Value& value) {
  run.step();
  if (const Text* text = value.text()) {
    run.count_characters(text->size());
    return *text;
  }
  if (value.is_undefined()) return {};
  if (value.is_none()) return from_ascii("None");
  if (const bool* flag = value.boolean()) return from_ascii(*flag ? "True" : "False");
  std::int64_t integer = 0;
  if (value.integer(integer) != nullptr) return from_ascii(fmt::format("{}", integer));
  if (const double* real = value.real()) return from_ascii(number_text(*real));
  if (value.list() == nullptr && value.dict() == nullptr) {
    run.refuse("expected a value that can be printed, found {}", describe(value));
  }
  Text text;
  append_repr(run, value, text);
  return text;
}

}  // namespace tern::chat
