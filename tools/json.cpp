#include "tools/json.h"

#include <fmt/format.h>

#include "tern/error.h"
#include "tools/output.h"

namespace tern::tools {

Json parse_json(std::string_view text, const JsonLimits& limits) {
  const auto refuse = [](const std::string& message) { throw Error(ErrorKind::kInvalidArgument, message); };
  if (text.size() > limits.bytes) refuse(fmt::format("{} bytes of JSON: at most {}", text.size(), limits.bytes));
  const auto limit_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > limits.depth) refuse(fmt::format("values nested deeper than {}", limits.depth));
    return true;
  };
  try {
    return Json::parse(text, limit_depth);
  } catch (const Json::exception& error) {
    throw Error(ErrorKind::kInvalidArgument, fmt::format("not valid JSON: {}", one_line(error.what())));
  }
}

}  // namespace tern::tools
