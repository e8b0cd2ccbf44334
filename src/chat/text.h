#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tern/tokenizer.h"

namespace tern::chat {

/// A code point, and in bit 31 where it comes from: set for what users wrote, clear for what the template wrote.
///
/// Characters keep that bit through every slice, split, join and filter, so that a rendered text still tells the two
/// apart, and a user cannot forge a control token in whatever way the template takes the message to pieces.
/// Bytes that are not UTF-8 are kept as kBadByte + byte.
using Char = char32_t;
inline constexpr Char kUserBit = 0x80000000;
inline constexpr Char kBadByte = 0x110000;

[[nodiscard]] constexpr Char code_point(Char c) noexcept { return c & ~kUserBit; }

/// Compares code points alone: a text is the same text whoever wrote it.
struct CharTraits : std::char_traits<Char> {
  static constexpr bool eq(Char a, Char b) noexcept { return code_point(a) == code_point(b); }
  static constexpr bool lt(Char a, Char b) noexcept { return code_point(a) < code_point(b); }
  static constexpr int compare(const Char* a, const Char* b, std::size_t n) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
      if (!eq(a[i], b[i])) return lt(a[i], b[i]) ? -1 : 1;
    }
    return 0;
  }
  static constexpr const Char* find(const Char* text, std::size_t n, const Char& wanted) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
      if (eq(text[i], wanted)) return text + i;
    }
    return nullptr;
  }
};

using Text = std::basic_string<Char, CharTraits>;
using TextView = std::basic_string_view<Char, CharTraits>;

[[nodiscard]] inline Text from_ascii(std::string_view text) { return Text(text.begin(), text.end()); }
/// `origin` is 0 or kUserBit and goes into every character.
[[nodiscard]] Text from_utf8(std::string_view utf8, Char origin = 0);
[[nodiscard]] std::string to_utf8(TextView text);
/// The ranges of to_utf8(text), in bytes, that users wrote.
[[nodiscard]] std::vector<TextRange> user_ranges(TextView text);

/// As Python's str.isspace().
[[nodiscard]] bool is_space(Char c) noexcept;
[[nodiscard]] bool is_digit(Char c) noexcept;   // ASCII
[[nodiscard]] bool is_letter(Char c) noexcept;  // has two cases, as far as upper() and lower() know

/// Upper and lower case of Latin (as far as Extended-A), Greek, Cyrillic and Armenian letters where it is one
/// character; others stay. Python knows more alphabets, and turns a few letters into several; here only upper() of a
/// text does, for the sharp s.
[[nodiscard]] Char upper(Char c) noexcept;
[[nodiscard]] Char lower(Char c) noexcept;
[[nodiscard]] Text upper(TextView text);
[[nodiscard]] Text lower(TextView text);

/// Without the characters of `set`, or white space when it is null, at the ends that are asked for.
struct StripEnds {
  bool left = true;
  bool right = true;
};
[[nodiscard]] TextView strip(TextView text, const Text* set = nullptr, StripEnds ends = {});

}  // namespace tern::chat
