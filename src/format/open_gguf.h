#pragma once

#include <filesystem>
#include <vector>

#include "src/base/mapped_files.h"
#include "src/format/gguf.h"

namespace tern::format {

/// Of a part of a split model: the first part, when it lies beside it. Any other path as it is.
[[nodiscard]] std::filesystem::path first_part(const std::filesystem::path& path);

/// All parts of a split model, by their names; of any other path itself.
[[nodiscard]] std::vector<std::filesystem::path> all_parts(const std::filesystem::path& path);

/// Maps and parses a GGUF file and, when it is a part of a model split in several files, all the others, which lie
/// beside it: model-00001-of-00003.gguf, model-00002-of-00003.gguf, ... Any of them may be named. The keys are those of
/// the first part.
///
/// Errors    as MappedFile's and parse_gguf(); Error(kIo): a part is missing; Error(kBadFile): a part under another
///           one's name, of another model, or with a tensor that another part has. The message names the part.
[[nodiscard]] Gguf open_gguf(const std::filesystem::path& path, MappedFiles& files, TensorSizer tensor_size);

}  // namespace tern::format
