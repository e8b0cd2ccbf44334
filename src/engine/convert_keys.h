#pragma once

#include <cstdint>
#include <optional>

#include "src/base/arena.h"
#include "src/format/gguf.h"

namespace tern::engine {

/// The keys of a file that a model is converted to: those of the source but for what describes its files, with
/// general.file_type if there is a new one. What the source does not have lies in `arena`.
///
/// Other engines expect a token for each row of the embedding; of a directory, rows that stand for none get unused
/// ones.
[[nodiscard]] format::Metadata make_keys(const format::Gguf& source, std::optional<std::uint64_t> file_type,
                                         Arena& arena);

}  // namespace tern::engine
