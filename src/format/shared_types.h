#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "src/format/gguf.h"

namespace tern::format {

/// Where the directory says that a tensor lies, from the data's begin.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::optional<OtherType> other = {};  // that the tensor may be of instead
};

/// Decides which type a number means that two of them share: files hold one tensor behind the other, so that the right
/// one of two sizes fills every such tensor's place but for the padding. Sets the tensors' types and the extents'
/// bytes.
///
/// extents: one for each tensor of `gguf`; data_bytes: from the data's begin to the end of the file
/// Errors    Error(kUnsupported): neither or both of the types fill every place
void resolve_shared_types(std::span<Extent> extents, std::uint64_t data_bytes, Gguf& gguf);

}  // namespace tern::format
