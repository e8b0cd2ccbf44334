#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tern {

/// Text from a file, safe to show in one line of a terminal: bytes outside printable ASCII become \xNN, and what is
/// longer than `max_chars` is cut and ends in "...".
[[nodiscard]] std::string printable(std::string_view text, std::size_t max_chars = 64);

}  // namespace tern
