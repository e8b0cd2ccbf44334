#pragma once

#include "src/chat/run.h"

namespace tern::chat {

/// The run's date in the format of strftime(), in English whatever the locale.
///
/// Errors    Error(kUnsupported): a directive that is not in the table of date.cpp
[[nodiscard]] Text format_date(Run& run, const Text& format);

}  // namespace tern::chat
