#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace tern::tools {

/// Keeps the order in which keys were given, so that output reads well.
using Json = nlohmann::ordered_json;

/// One line of JSON, newline included; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] inline std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// What JSON from elsewhere may be at most.
struct JsonLimits {
  std::size_t bytes;
  int depth;  // of nested values
};

/// Text from elsewhere as JSON.
///
/// Errors    Error(kInvalidArgument): beyond the limits, not valid
[[nodiscard]] Json parse_json(std::string_view text, const JsonLimits& limits);

}  // namespace tern::tools
