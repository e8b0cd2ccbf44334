#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "tern/error.h"

namespace tern {

/// Throws Error(kind) with a formatted one-line message.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace tern

/// A caller's mistake, checked in debug builds (TERN_DCHECKS) only.
#ifdef TERN_DCHECKS
#include <cassert>
#define TERN_DCHECK(condition) assert(condition)
#else
#define TERN_DCHECK(condition) static_cast<void>(0)
#endif
