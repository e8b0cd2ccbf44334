#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tern::text {

/// What the first byte of a UTF-8 sequence says about the rest.
struct Utf8Lead {
  std::size_t length;        // bytes of the whole sequence; 0 = no sequence starts with this byte
  unsigned char second_min;  // range of the second byte; all later ones are 80..BF
  unsigned char second_max;
};

/// Source    The Unicode Standard, table 3-7 (well-formed UTF-8 byte sequences)
[[nodiscard]] constexpr Utf8Lead utf8_lead(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2 || byte > 0xF4) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};  // shorter forms exist below
  if (byte == 0xED) return {3, 0x80, 0x9F};  // surrogates above
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};  // shorter forms exist below
  if (byte == 0xF4) return {4, 0x80, 0x8F};  // beyond U+10FFFF above
  return {4, 0x80, 0xBF};
}

/// How many of the bytes from `begin` on fit one well-formed sequence, at most its length. Requires begin <
/// text.size().
[[nodiscard]] constexpr std::size_t utf8_matching_bytes(std::string_view text, std::size_t begin) noexcept {
  const Utf8Lead lead = utf8_lead(static_cast<unsigned char>(text[begin]));
  std::size_t n = lead.length == 0 ? 0 : 1;
  while (n < lead.length && begin + n < text.size()) {
    const auto byte = static_cast<unsigned char>(text[begin + n]);
    if (byte < (n == 1 ? lead.second_min : 0x80) || byte > (n == 1 ? lead.second_max : 0xBF)) break;
    ++n;
  }
  return n;
}

/// Length in bytes (1 to 4) of the well-formed sequence at `begin`, 0 when there is none. Requires begin < text.size().
[[nodiscard]] constexpr std::size_t utf8_sequence_length(std::string_view text, std::size_t begin) noexcept {
  const std::size_t length = utf8_lead(static_cast<unsigned char>(text[begin])).length;
  return utf8_matching_bytes(text, begin) == length ? length : 0;
}

/// How many bytes (0 to 3) at the end of `text` begin a sequence that more bytes could still complete.
[[nodiscard]] constexpr std::size_t utf8_incomplete_suffix(std::string_view text) noexcept {
  for (std::size_t n = 1; n <= 3 && n <= text.size(); ++n) {
    const std::size_t begin = text.size() - n;
    const std::size_t length = utf8_lead(static_cast<unsigned char>(text[begin])).length;
    if (length > n && utf8_matching_bytes(text, begin) == n) return n;
  }
  return 0;
}

}  // namespace tern::text
