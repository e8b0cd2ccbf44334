#pragma once

#include <string_view>

#include "src/chat/ast.h"

namespace tern::chat {

/// Errors    Error(kBadFile): not a template; Error(kUnsupported): a statement that tern does not have, named;
///           larger or deeper than limits.h allows
/// Source    the documentation of Jinja 3.1, "Template Designer Documentation"
[[nodiscard]] Statements parse(std::string_view source);

}  // namespace tern::chat
