#pragma once

#include <fmt/core.h>

#include <new>
#include <stdexcept>

#include "tern/error.h"

namespace tern {

/// fail() with its arguments packed: formatting is compiled once, not in every file that can fail.
[[noreturn]] void vfail(ErrorKind kind, fmt::string_view format, fmt::format_args args);

/// Throws Error(kind) with a formatted one-line message.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  vfail(kind, format, fmt::make_format_args(args...));
}

/// Runs `work`; running out of memory becomes Error(kInvalidArgument) that says for what.
template <typename Work>
auto or_out_of_memory(const char* what, const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::kInvalidArgument, "not enough memory for {}", what);
  } catch (const std::length_error&) {  // how a container says the same of an absurd size
    fail(ErrorKind::kInvalidArgument, "not enough memory for {}", what);
  }
}

}  // namespace tern

/// A caller's mistake, checked in builds for development (TERN_DCHECKS) only, of any build type.
#ifdef TERN_DCHECKS
#define TERN_DCHECK(condition) ((condition) ? static_cast<void>(0) : __builtin_trap())
#else
#define TERN_DCHECK(condition) static_cast<void>(0)
#endif
