#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "src/base/mapped_files.h"
#include "src/base/thread_pool.h"
#include "src/format/gguf.h"
#include "src/weights/codec.h"
#include "tern/convert.h"

namespace tern::engine {

struct ConvertTarget;

/// One conversion. What it refers to outlives it.
struct Conversion {
  const std::filesystem::path& path;  // of the source
  const format::Gguf& source;
  const MappedFiles& files;  // of the source
  const std::filesystem::path& output;
  const ConvertTarget& target;
  const ConvertOptions& options;
  ThreadPool& pool;
};

/// What ConvertOptions::type can be.
struct ConvertTarget {
  std::string_view name;
  const weights::TensorCodec* codec;  // of the ternary layers; nullptr: as they are
  std::uint32_t file_type;            // key general.file_type; without a codec it is not used
  /// Writes the file; returns nothing when it was told to stop.
  std::optional<ConvertSummary> (*write)(const Conversion& conversion);
};

[[nodiscard]] std::span<const ConvertTarget> convert_targets() noexcept;

/// Adds a tensor to those of its type.
void count_tensor(std::string_view type, std::uint64_t bytes, ConvertSummary& summary);

/// The float type of this name in lower case, if tern writes it; nullptr otherwise.
[[nodiscard]] const weights::TensorCodec* find_float_type(std::string_view name);

}  // namespace tern::engine
