#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tern {

/// One key of a GGUF file, in words.
struct MetadataEntry {
  std::string key;
  std::string type;   ///< "unsigned", "string", "array of string", ...
  std::string value;  ///< one line; long texts and arrays are cut short, with their true size
};

/// The keys of a GGUF file, in its order, or those that a Hugging Face directory amounts to. A file may hold a model
/// that tern cannot run.
///
/// Errors    Error: kIo, kBadFile, kUnsupported (version, byte order)
[[nodiscard]] std::vector<MetadataEntry> read_metadata(const std::filesystem::path& path);

}  // namespace tern
