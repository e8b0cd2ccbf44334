#include "src/engine/model_source.h"

#include "src/format/open_gguf.h"
#include "src/huggingface/model_directory.h"
#include "src/nn/packed_type.h"

namespace tern::engine {
namespace {

/// Every type is accepted and takes no bytes.
format::TensorSize ignore_tensor(std::uint32_t /*type*/, std::uint64_t /*cols*/, std::uint64_t /*n_elements*/) {
  format::TensorSize size;
  size.bytes = 0;
  return size;
}

bool names_directory(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

}  // namespace

format::Gguf open_source(const std::filesystem::path& path, MappedFiles& files) {
  if (names_directory(path)) return huggingface::open_directory(path, files);
  return format::open_gguf(path, files, nn::any_tensor_size);
}

format::Gguf open_keys(const std::filesystem::path& path, MappedFiles& files) {
  if (names_directory(path)) return huggingface::read_keys(path, files);
  const std::filesystem::path file = format::first_part(path);
  return format::parse_gguf(files.add(file).bytes(), file.string(), ignore_tensor);
}

}  // namespace tern::engine
