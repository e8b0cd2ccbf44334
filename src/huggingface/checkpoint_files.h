#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "src/base/mapped_files.h"
#include "src/huggingface/json.h"
#include "src/huggingface/safetensors.h"

namespace tern::huggingface {

/// A parsed file of a directory.
struct JsonFile {
  std::string source;
  Json root;

  [[nodiscard]] Field field() const { return {root, source}; }
};

/// The files of one directory. Names that are looked for are ours, or checked to be plain names.
struct DirectoryReader {
  std::filesystem::path path;
  MappedFiles& files;
  Arena& arena;

  [[nodiscard]] bool has(const std::string& name) const;
  /// Bytes of a file, as text.
  [[nodiscard]] std::string_view read(const std::string& name) const;
  /// Nothing when there is no such file.
  [[nodiscard]] std::optional<JsonFile> read_json(const std::string& name) const;
  [[nodiscard]] std::string source(const std::string& name) const { return (path / name).string(); }
};

/// All tensors of a directory: those of model.safetensors, or those that model.safetensors.index.json lists, in several
/// files.
///
/// Errors    Error(kIo): a file is missing; Error(kBadFile): a file without a tensor that the index expects there
[[nodiscard]] std::vector<StoredTensor> read_tensors(const DirectoryReader& directory);

}  // namespace tern::huggingface
