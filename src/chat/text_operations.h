#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "src/chat/run.h"

namespace tern::chat {

// What filters and methods of strings share; each is the method of Python's str of that name.

[[nodiscard]] Text capitalize(TextView text);
/// Counts the work of strip(text, set).
void count_strip(Run& run, TextView text, const Text* set);
/// At most `max_count` places from the left; all without.
[[nodiscard]] Text replace(Run& run, const Text& text, const Text& from, const Text& to,
                           std::optional<std::size_t> max_count);
/// At `separator`, or at white space when it is null; at most `max_count` cuts.
[[nodiscard]] std::vector<Value> split(Run& run, const Text& text, const Text* separator,
                                       std::optional<std::size_t> max_count);
[[nodiscard]] std::vector<Value> split_from_right(Run& run, const Text& text, const Text* separator,
                                                  std::optional<std::size_t> max_count);
[[nodiscard]] std::vector<TextView> split_lines(Run& run, TextView text, bool keep_ends);

}  // namespace tern::chat
