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

/// What a file holds before its first tensor; all of a file without tensors.
std::span<const std::byte> before_tensors(const MappedFile& file, std::span<const format::TensorInfo> tensors) {
  std::size_t size = file.bytes().size();
  for (const format::TensorInfo& tensor : tensors) {
    if (!file.holds(tensor.data)) continue;
    size = std::min(size, static_cast<std::size_t>(tensor.data.data() - file.bytes().data()));
  }
  return file.bytes().first(size);
}

}  // namespace

std::uint64_t engine::fingerprint(const LoadedModel& model) noexcept {
  if (model.ready) return model.ready->fingerprint;
  WordHash hash;
  hash.add(model.files.bytes());
  hash.add(std::uint64_t{static_cast<std::uint64_t>(model.i2s_layout)});
  for (const MappedFile& file : model.files) hash.add(before_tensors(file, model.gguf.tensors));
  for (const format::TensorInfo& tensor : model.gguf.tensors) add_sample(hash, tensor.data);
  return hash.value();
}

std::uint64_t Model::fingerprint() const noexcept { return engine::fingerprint(*loaded_); }

}  // namespace tern
