#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

namespace tern {

/// Text from a file, safe to show in one line of a terminal: bytes outside printable ASCII become \xNN, and what is
/// longer than `max_chars` is cut and ends in "...".
[[nodiscard]] inline std::string printable(std::string_view text, std::size_t max_chars = 64) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte >= 0x20 && byte < 0x7f && byte != '\\';
    const std::size_t needed = plain ? 1 : 4;
    if (shown.size() + needed > max_chars) return shown + "...";
    if (plain) {
      shown += c;
    } else {
      fmt::format_to(std::back_inserter(shown), "\\x{:02x}", byte);
    }
  }
  return shown;
}

}  // namespace tern
