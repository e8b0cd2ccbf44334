#pragma once

#include "tern/error.h"

/// Exit statuses of the tern command. Scripts rely on them: never renumber.
namespace tern::tools {

inline constexpr int kSuccess = 0;
inline constexpr int kInternalError = 1;
inline constexpr int kUsageError = 2;    ///< an option or argument that cannot be carried out
inline constexpr int kModelError = 3;    ///< a model or saved file that is broken, or needs what tern does not have
inline constexpr int kIoError = 4;       ///< a file or standard output that cannot be opened, read or written
inline constexpr int kRecordErrors = 5;  ///< a batch is done, but some of its records have an error instead of a text
inline constexpr int kFaultFound = 6;    ///< tern doctor, or a verification, found something wrong
// 129, 130, 143: stopped by SIGHUP, Ctrl-C, SIGTERM; see InterruptGuard::status()
inline constexpr int kOutputClosed = 141;  ///< who read our output went away (128 + SIGPIPE)

[[nodiscard]] constexpr int status_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return kUsageError;
    case ErrorKind::kIo:
      return kIoError;
    case ErrorKind::kBadFile:
    case ErrorKind::kUnsupported:
      return kModelError;
  }
  return kInternalError;
}

}  // namespace tern::tools
