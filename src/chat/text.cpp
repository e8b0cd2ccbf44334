#include "src/chat/text.h"

#include <algorithm>
#include <array>

#include "src/text/utf8.h"

namespace tern::chat {
namespace {

std::size_t utf8_size(Char c) noexcept {
  c = code_point(c);
  if (c < 0x80 || c >= kBadByte) return 1;
  if (c < 0x800) return 2;
  return c < 0x10000 ? 3 : 4;
}

char continuation(Char c, unsigned shift) noexcept { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); }

void append_utf8(Char c, std::string& out) {
  c = code_point(c);
  switch (utf8_size(c)) {
    case 1:
      out += static_cast<char>(c >= kBadByte ? c - kBadByte : c);
      break;
    case 2:
      out += {static_cast<char>(0xC0 | c >> 6), continuation(c, 0)};
      break;
    case 3:
      out += {static_cast<char>(0xE0 | c >> 12), continuation(c, 6), continuation(c, 0)};
      break;
    default:
      out += {static_cast<char>(0xF0 | c >> 18), continuation(c, 12), continuation(c, 6), continuation(c, 0)};
  }
}

/// The code point of a well-formed sequence.
Char decode(std::string_view sequence) noexcept {
  const auto lead = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return lead;
  Char c = lead & (0x7Fu >> sequence.size());
  for (const char byte : sequence.substr(1)) c = c << 6 | (static_cast<unsigned char>(byte) & 0x3Fu);
  return c;
}

/// Letters whose two cases lie at a fixed distance, or next to each other (distance 1: upper case has the parity of the
/// first). In order, so that a search may end early.
struct CaseRange {
  Char first_upper;
  Char last_upper;
  Char distance;  // from upper to lower case
};
constexpr std::array<CaseRange, 20> kCaseRanges{{
    {'A', 'Z', 32},     {0xC0, 0xD6, 32},   {0xD8, 0xDE, 32},   {0x100, 0x12E, 1},  {0x132, 0x136, 1},
    {0x139, 0x147, 1},  {0x14A, 0x176, 1},  {0x179, 0x17D, 1},  {0x386, 0x386, 38}, {0x388, 0x38A, 37},
    {0x38E, 0x38F, 63}, {0x391, 0x3A1, 32}, {0x3A3, 0x3AB, 32}, {0x400, 0x40F, 80}, {0x410, 0x42F, 32},
    {0x460, 0x480, 1},  {0x48A, 0x4BE, 1},  {0x4D0, 0x52E, 1},  {0x531, 0x556, 48}, {0x1E00, 0x1E94, 1},
}};
constexpr Char kLastCased = 0x1E95;

}  // namespace

Text from_utf8(std::string_view utf8, Char origin) {
  Text text;
  text.reserve(utf8.size());
  for (std::size_t i = 0; i < utf8.size();) {
    const std::size_t length = text::utf8_sequence_length(utf8, i);
    const Char c = length == 0 ? kBadByte + static_cast<unsigned char>(utf8[i]) : decode(utf8.substr(i, length));
    text += c | origin;
    i += std::max<std::size_t>(length, 1);
  }
  return text;
}

std::string to_utf8(TextView text) {
  std::string utf8;
  utf8.reserve(text.size());
  for (const Char c : text) append_utf8(c, utf8);
  return utf8;
}

std::vector<TextRange> user_ranges(TextView text) {
  std::vector<TextRange> ranges;
  std::size_t end = 0;
  for (const Char c : text) {
    const std::size_t begin = end;
    end += utf8_size(c);
    if ((c & kUserBit) == 0) continue;
    if (ranges.empty() || ranges.back().end != begin) ranges.push_back({begin, begin});
    ranges.back().end = end;
  }
  return ranges;
}

bool is_space(Char c) noexcept {
  c = code_point(c);
  if (c <= 0x20) return c == 0x20 || (c >= 9 && c <= 13) || c >= 0x1C;
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_digit(Char c) noexcept { return code_point(c) >= '0' && code_point(c) <= '9'; }
bool is_letter(Char c) noexcept { return !CharTraits::eq(upper(c), c) || !CharTraits::eq(lower(c), c); }

Char upper(Char c) noexcept {
  const Char origin = c & kUserBit;
  c = code_point(c);
  if (c > kLastCased) return c | origin;
  if (c == 0x3C2) return 0x3A3 | origin;  // final sigma
  if (c == 0xFF) return 0x178 | origin;
  for (const CaseRange& range : kCaseRanges) {
    if (c < range.first_upper) break;
    const bool inside = c >= range.first_upper + range.distance && c <= range.last_upper + range.distance;
    if (inside && (range.distance > 1 || (c - range.first_upper) % 2 == 1)) return (c - range.distance) | origin;
  }
  return c | origin;
}

Char lower(Char c) noexcept {
  const Char origin = c & kUserBit;
  c = code_point(c);
  if (c > kLastCased) return c | origin;
  if (c == 0x178) return 0xFF | origin;
  for (const CaseRange& range : kCaseRanges) {
    if (c < range.first_upper) break;
    const bool inside = c >= range.first_upper && c <= range.last_upper;
    if (inside && (range.distance > 1 || (c - range.first_upper) % 2 == 0)) return (c + range.distance) | origin;
  }
  return c | origin;
}

Text upper(TextView text) {
  Text result;
  for (const Char c : text) {
    if (code_point(c) == 0xDF) {  // sharp s has two capitals
      result.append(2, U'S' | (c & kUserBit));
    } else {
      result += upper(c);
    }
  }
  return result;
}

Text lower(TextView text) {
  Text result(text);
  for (Char& c : result) c = lower(c);
  return result;
}

TextView strip(TextView text, const Text* set, StripEnds ends) {
  const auto goes = [set](Char c) { return set == nullptr ? is_space(c) : set->find(c) != Text::npos; };
  while (ends.left && !text.empty() && goes(text.front())) text.remove_prefix(1);
  while (ends.right && !text.empty() && goes(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace tern::chat
