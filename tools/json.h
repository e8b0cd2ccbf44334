#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace tern::tools {

/// Keeps the order in which keys were given, so that output reads well.
using Json = nlohmann::ordered_json;

/// One line of JSON, newline included; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] inline std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tern::tools
