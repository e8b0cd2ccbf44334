#pragma once

#include <optional>
#include <string>

#include "tern/tern.h"

/// What `tern bench --sweep --remember` found best, per processor and shape of model: one small JSON file.
namespace tern::tools {

/// Changes speed, never a result.
struct RememberedChoice {
  std::string kernel;  ///< as OpenOptions::kernel
  unsigned threads = 0;
};

/// Cheap: whether there is anything to look up at all.
[[nodiscard]] bool remembers_any_choice();

/// Nothing when there is none for this model on this processor, or when it cannot be used: a file that somebody
/// damaged is as good as none.
[[nodiscard]] std::optional<RememberedChoice> remembered_choice(const ModelSummary& model);

/// Keeps a choice, or drops it when it is empty. Returns the file.
///
/// Errors    Error(kIo): it cannot be written; Error(kInvalidArgument): there is no place for it
std::string remember_choice(const ModelSummary& model, const std::optional<RememberedChoice>& choice);

}  // namespace tern::tools
