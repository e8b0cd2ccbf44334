#include <algorithm>

#include "src/base/fnv1a.h"
#include "src/engine/loaded_model.h"

namespace tern {
namespace {

constexpr std::size_t kSampleBytes = 4096;  // at the beginning, in the middle and at the end of a tensor

void add_sample(WordHash& hash, std::span<const std::byte> data) {
  const std::size_t n = std::min(kSampleBytes, data.size());
  hash.add(std::uint64_t{data.size()});
  hash.add(data.first(n));
  hash.add(data.subspan(data.size() / 2, std::min(n, data.size() - data.size() / 2)));
  hash.add(data.last(n));
}

}  // namespace

std::uint64_t Model::fingerprint() const noexcept {
  const std::span<const std::byte> file = loaded_->file.bytes();
  std::size_t metadata_size = file.size();
  for (const format::TensorInfo& tensor : loaded_->gguf.tensors) {
    metadata_size = std::min(metadata_size, static_cast<std::size_t>(tensor.data.data() - file.data()));
  }
  WordHash hash;
  hash.add(std::uint64_t{file.size()});
  hash.add(std::uint64_t{static_cast<std::uint64_t>(loaded_->i2s_layout)});
  hash.add(file.first(metadata_size));
  for (const format::TensorInfo& tensor : loaded_->gguf.tensors) add_sample(hash, tensor.data);
  return hash.value();
}

}  // namespace tern
