#pragma once

#include <stdexcept>
#include <string>

namespace tern {

/// What went wrong, coarse enough to be mapped to an exit status.
enum class ErrorKind {
  kInvalidArgument,  ///< an option or a call that cannot be carried out as given
  kIo,               ///< a file that cannot be opened, read or written
  kBadFile,          ///< a file whose bytes contradict its format
  kUnsupported,      ///< a well-formed file that needs something tern does not have
};

/// The only exception that crosses tern's API. `what()` is one line that names the file, the tensor or the key,
/// what was expected and what was found.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace tern
