#pragma once

#include <filesystem>

#include "src/base/mapped_files.h"
#include "src/format/gguf.h"

namespace tern::engine {

/// What a model says of itself, be it a GGUF file, the parts of one, or a directory as Hugging Face publishes them.
/// The result views into `files`.
///
/// Errors    kIo: not there; kBadFile: contradictory; kUnsupported: needs something that tern does not have
[[nodiscard]] format::Gguf open_source(const std::filesystem::path& path, MappedFiles& files);

/// The same without tensors, which may be of any type, or missing.
[[nodiscard]] format::Gguf open_keys(const std::filesystem::path& path, MappedFiles& files);

}  // namespace tern::engine
