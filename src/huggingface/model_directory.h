#pragma once

#include <filesystem>

#include "src/base/mapped_files.h"
#include "src/format/gguf.h"

/// Directories as Hugging Face publishes models, translated to what GGUF would say of them.
namespace tern::huggingface {

/// Reads a directory of config.json, tokenizer files and safetensors. Texts and tensors of the result lie in `files`
/// and in its own arena. Of the weights, a few rows are read at most.
///
/// Errors    Error(kIo): a file that is missing or unreadable; Error(kBadFile); Error(kUnsupported). The message
///           names the file, the key or tensor, what was expected and what was found.
[[nodiscard]] format::Gguf open_directory(const std::filesystem::path& path, MappedFiles& files);

/// The same without tensors.
[[nodiscard]] format::Gguf read_keys(const std::filesystem::path& path, MappedFiles& files);

}  // namespace tern::huggingface
