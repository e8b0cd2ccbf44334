#include "src/base/printable.h"

#include <fmt/core.h>

namespace tern {

std::string printable(std::string_view text, std::size_t max_chars) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte >= 0x20 && byte < 0x7f && byte != '\\';
    const std::string piece = plain ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
    if (shown.size() + piece.size() > max_chars) return shown + "...";
    shown += piece;
  }
  return shown;
}

}  // namespace tern
