#include <algorithm>
#include <cmath>

#include "src/chat/json.h"
#include "src/chat/operations.h"

namespace tern::chat {
namespace {

class JsonWriter {
 public:
  JsonWriter(Run& run, const JsonStyle& style) : run_(run), style_(style) {}

  void write(const Value& value, std::size_t level) {
    run_.step();
    if (const Text* text = value.text()) {
      write_string(*text);
    } else if (const List* list = value.list(); list != nullptr && list->kind <= ListKind::kTuple) {
      write_list(*list, level);
    } else if (const Dict* dict = value.dict()) {
      write_dict(*dict, level);
    } else {
      append(scalar(value));
    }
  }

  Text take() { return std::move(out_); }

 private:
  void append(TextView text) { run_.append(out_, text); }

  [[nodiscard]] Text scalar(const Value& value) {
    if (value.is_none()) return from_ascii("null");
    if (const bool* flag = value.boolean()) return from_ascii(*flag ? "true" : "false");
    if (const double* real = value.real()) {
      if (std::isnan(*real)) return from_ascii("NaN");
      if (std::isinf(*real)) return from_ascii(*real < 0 ? "-Infinity" : "Infinity");
      return from_ascii(number_text(*real));
    }
    std::int64_t integer = 0;
    if (value.integer(integer) == nullptr)
      run_.fail("tojson: expected a value that JSON has, found {}", describe(value));
    return from_ascii(fmt::format("{}", integer));
  }

  [[nodiscard]] Text escape(Char c) const {
    constexpr std::string_view kControls = "\b\t\n\f\r\"\\";
    constexpr std::string_view kLetters = "btnfr\"\\";
    const auto code = static_cast<std::uint32_t>(code_point(c));
    Text text;
    if (const std::size_t at = code < 0x80 ? kControls.find(static_cast<char>(code)) : std::string_view::npos;
        at != std::string_view::npos) {
      text = from_ascii("\\") + static_cast<Char>(kLetters[at]);
    } else if (code < 0x10000) {
      text = from_ascii(fmt::format("\\u{:04x}", code));
    } else {  // a surrogate pair
      text = from_ascii(fmt::format("\\u{:04x}\\u{:04x}", 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)));
    }
    for (Char& each : text) each |= c & kUserBit;
    return text;
  }

  void write_string(const Text& text) {
    run_.count_characters(text.size() + 2);
    out_ += U'"';
    for (const Char c : text) {
      const Char code = code_point(c);
      const bool plain = code >= 0x20 && code != '"' && code != '\\' && (code < 0x80 || !style_.ensure_ascii);
      if (plain || code >= kBadByte) {
        out_ += c;
      } else {
        append(escape(c));
      }
    }
    out_ += U'"';
  }

  void new_line(std::size_t level) {
    if (!style_.indent) return;
    append(from_ascii("\n"));
    for (std::size_t i = 0; i < level; ++i) append(*style_.indent);
  }

  void write_list(const List& list, std::size_t level) {
    append(from_ascii("["));
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) append(style_.item_separator);
      new_line(level + 1);
      write(list.items[i], level + 1);
    }
    if (!list.items.empty()) new_line(level);
    append(from_ascii("]"));
  }

  void write_dict(const Dict& dict, std::size_t level) {
    std::vector<const Dict::Entry*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [this](const auto* a, const auto* b) { return order(run_, a->first, b->first) < 0; });
    }
    append(from_ascii("{"));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) append(style_.item_separator);
      new_line(level + 1);
      const Value& key = entries[i]->first;
      write_string(key.text() != nullptr ? *key.text() : scalar(key));
      append(style_.key_separator);
      write(entries[i]->second, level + 1);
    }
    if (!entries.empty()) new_line(level);
    append(from_ascii("}"));
  }

  Run& run_;
  const JsonStyle& style_;
  Text out_;
};

}  // namespace

Text to_json(Run& run, const Value& value, const JsonStyle& style) {
  JsonWriter writer(run, style);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace tern::chat
