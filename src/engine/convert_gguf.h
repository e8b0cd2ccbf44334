#pragma once

#include <optional>

#include "src/engine/convert_targets.h"

namespace tern::engine {

/// ConvertTarget::write of GGUF files whose tensors are of standard types.
[[nodiscard]] std::optional<ConvertSummary> convert_to_gguf(const Conversion& conversion);

}  // namespace tern::engine
