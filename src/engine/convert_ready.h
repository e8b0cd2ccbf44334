#pragma once

#include <optional>

#include "src/engine/convert_targets.h"

namespace tern::engine {

/// ConvertTarget::write of kernel-ready files, see tern/kernel_ready.h.
[[nodiscard]] std::optional<ConvertSummary> convert_to_kernel_ready(const Conversion& conversion);

}  // namespace tern::engine
