#pragma once

#include <optional>
#include <string_view>

#include "src/chat/run.h"

namespace tern::chat {

/// JSON text to a value. `what` names it in messages, `origin` marks its strings (see text.h).
///
/// Errors    Error(kInvalidArgument): not JSON, nested too deep, integers beyond 64 bits
[[nodiscard]] Value parse_json(Run& run, std::string_view json, std::string_view what, Char origin);

/// As Python's json.dumps().
struct JsonStyle {
  bool ensure_ascii = false;
  std::optional<Text> indent = std::nullopt;  // of one level; none puts everything in one line
  Text item_separator;
  Text key_separator;
  bool sort_keys = false;
};
[[nodiscard]] Text to_json(Run& run, const Value& value, const JsonStyle& style);

}  // namespace tern::chat
