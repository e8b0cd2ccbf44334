#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "src/base/mapped_file.h"
#include "src/engine/kernel_ready.h"
#include "src/nn/packed_type.h"
#include "tern/kernel_ready.h"
#include "tests/support/consume_model.h"
#include "tests/support/tiny_model.h"

/// Kernel-ready files to damage, and their checksums.
namespace tern::test {

inline std::vector<std::byte> bytes_of_file(const std::string& path) {
  const MappedFile file(path);
  return {file.bytes().begin(), file.bytes().end()};
}

/// A tiny model with scales for rows and blocks, packed.
inline std::vector<std::byte> tiny_kernel_ready(const std::string& layout) {
  const MemoryFile model(
      make_tiny_model({.architecture = "qwen3", .one_scale = false, .n_layers = 1, .ffn_dim = 512}).build());
  const std::string name = "tern-test-ready-" + std::to_string(::getpid()) + ".gguf";
  const std::string target = (std::filesystem::temp_directory_path() / name).string();
  if (!write_kernel_ready(model.path(), target, {.open = {.threads = 1, .kernel = "reference"}, .layout = layout}))
    return {};
  std::vector<std::byte> bytes = bytes_of_file(target);
  std::filesystem::remove(target);
  return bytes;
}

/// Makes the checksum of keys and directory right again, so that damage comes to those who read what it says. Does
/// nothing where the file is not GGUF any more.
inline void mend_directory(std::vector<std::byte>& bytes) {
  std::uint64_t checksum = 0;
  std::size_t at = 0;
  try {
    const format::Gguf gguf = format::parse_gguf(bytes, "mended", nn::any_tensor_size);
    if (gguf.tensors.size() < 2 || gguf.tensors.back().data.size() < sizeof checksum) return;
    engine::DirectoryHash hash(gguf.metadata);
    for (std::size_t i = 0; i + 1 < gguf.tensors.size(); ++i) {
      const format::TensorInfo& tensor = gguf.tensors[i];
      hash.add(tensor, tensor.data.size(),
               static_cast<std::uint64_t>(tensor.data.data() - gguf.tensors[0].data.data()));
    }
    checksum = hash.value();
    at = static_cast<std::size_t>(gguf.tensors.back().data.data() - bytes.data());
  } catch (const Error&) {
    return;
  }
  std::memcpy(bytes.data() + at, &checksum, sizeof checksum);
}

}  // namespace tern::test
