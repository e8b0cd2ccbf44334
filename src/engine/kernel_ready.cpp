#include "src/engine/kernel_ready.h"

#include <bit>

#include "src/base/check.h"
#include "src/base/printable.h"
#include "src/format/byte_reader.h"
#include "src/nn/packed_type.h"

namespace tern::engine {
namespace {

void add_value(WordHash& hash, const format::Value& value) {
  struct {
    WordHash& hash;
    void operator()(std::uint64_t number) const { hash.add(number); }
    void operator()(std::int64_t number) const { hash.add(static_cast<std::uint64_t>(number)); }
    void operator()(double number) const { hash.add(std::bit_cast<std::uint64_t>(number)); }
    void operator()(bool flag) const { hash.add(std::uint64_t{flag}); }
    void operator()(std::string_view text) const { hash.add_text(text); }
    void operator()(const format::NumberArray& numbers) const {
      hash.add(static_cast<std::uint64_t>(numbers.element));
      hash.add(std::uint64_t{numbers.count});
      hash.add(numbers.bytes);
    }
    void operator()(const format::StringArray& strings) const {
      hash.add(std::uint64_t{strings.size()});
      for (const std::string_view text : strings) hash.add_text(text);
    }
  } add{hash};
  hash.add(std::uint64_t{value.index()});
  std::visit(add, value);
}

[[noreturn]] void fail_key(const format::Gguf& gguf, std::string_view key, std::string_view expected) {
  fail(ErrorKind::kBadFile, "{}: key {}: expected {}", gguf.metadata.source(), key, expected);
}

/// Its last tensor, which is taken out.
format::TensorInfo take_last(format::Gguf& gguf) {
  format::TensorInfo last = gguf.tensors.back();
  gguf.tensor_index.erase(last.name);
  gguf.tensors.pop_back();
  return last;
}

/// The numbers of the checksums' tensor, the last one: they are not checked yet.
std::vector<std::uint64_t> take_checksums(format::Gguf& gguf) {
  const std::string& source = gguf.metadata.source();
  if (gguf.tensors.empty() || gguf.tensors.back().name != kChecksumsTensor ||
      gguf.tensors.back().type != nn::kChecksumsType) {
    fail(ErrorKind::kBadFile, "{}: tensor {}: expected it to be the last one", source, kChecksumsTensor);
  }
  const format::TensorInfo tensor = take_last(gguf);
  if (tensor.n_elements != gguf.tensors.size() + 1) {
    fail(ErrorKind::kBadFile, "{}: tensor {}: expected {} checksums, found {}", source, kChecksumsTensor,
         gguf.tensors.size() + 1, tensor.n_elements);
  }
  std::vector<std::uint64_t> checksums;
  for (std::size_t i = 0; i < tensor.n_elements; ++i) {
    checksums.push_back(format::load<std::uint64_t>(tensor.data.data() + i * sizeof(std::uint64_t)));
  }
  return checksums;
}

void check_directory(const format::Gguf& gguf, std::uint64_t expected) {
  DirectoryHash hash(gguf.metadata);
  for (const format::TensorInfo& tensor : gguf.tensors) {
    const auto offset = static_cast<std::uint64_t>(tensor.data.data() - gguf.tensors[0].data.data());
    hash.add(tensor, tensor.data.size(), offset);
  }
  if (hash.value() != expected) {
    fail(ErrorKind::kBadFile, "{}: keys and tensor directory: expected the checksum {:016x}, found {:016x}",
         gguf.metadata.source(), expected, hash.value());
  }
}

/// Every packed tensor is in the one layout, which kernels of this build read (the sizes of the others are unknown).
void check_layout(const format::Gguf& gguf, std::string_view layout) {
  for (const format::TensorInfo& tensor : gguf.tensors) {
    const auto packed = nn::find_packed_type(tensor.type);
    if (!packed || packed->layout->name == layout) continue;
    fail(ErrorKind::kBadFile, "{}: tensor {}: expected weights packed as \"{}\", found \"{}\"", gguf.metadata.source(),
         printable(tensor.name), printable(layout), packed->layout->name);
  }
}

/// Packed tensors mean nothing in a file that does not say that it is kernel-ready.
void refuse_own_types(const format::Gguf& gguf) {
  for (const format::TensorInfo& tensor : gguf.tensors) {
    if (!nn::is_own_type(tensor.type)) continue;
    fail(ErrorKind::kBadFile, "{}: tensor {}: expected packed weights with the key {} only, found none",
         gguf.metadata.source(), printable(tensor.name), kVersionKey);
  }
}

}  // namespace

DirectoryHash::DirectoryHash(const format::Metadata& metadata) {
  for (const auto& [key, value] : metadata.entries()) {
    hash_.add_text(key);
    add_value(hash_, value);
  }
}

void DirectoryHash::add(const format::TensorInfo& tensor, std::uint64_t n_bytes, std::uint64_t offset) {
  hash_.add_text(tensor.name);
  hash_.add(std::uint64_t{tensor.type});
  hash_.add(std::uint64_t{tensor.n_dims});
  for (const std::uint64_t dim : tensor.dims) hash_.add(dim);
  hash_.add(n_bytes);
  hash_.add(offset);
}

std::optional<KernelReady> take_kernel_ready(format::Gguf& gguf) {
  const format::Metadata& keys = gguf.metadata;
  const auto version = keys.integer(kVersionKey, ~std::uint32_t{0});
  if (!version) {
    refuse_own_types(gguf);
    return std::nullopt;
  }
  if (*version != kReadyVersion) {
    fail(ErrorKind::kUnsupported,
         "{}: key {}: expected {}, found {}; make the file again from the model that it was made of", keys.source(),
         kVersionKey, kReadyVersion, *version);
  }
  const auto layout = keys.string(kLayoutKey);
  const auto i2s_layout = keys.integer(kI2sLayoutKey, 128);
  const auto source = keys.integer(kSourceKey, ~std::uint64_t{0});
  if (!layout) fail_key(gguf, kLayoutKey, "the name of a layout, found none");
  if (i2s_layout != 64 && i2s_layout != 128) fail_key(gguf, kI2sLayoutKey, "64 or 128");
  if (!source) fail_key(gguf, kSourceKey, "the source's fingerprint, found none");
  if (gguf.alignment % kReadyAlignment != 0) fail_key(gguf, "general.alignment", "a multiple of 64");

  KernelReady ready{.layout = *layout,
                    .i2s_layout = i2s_layout == 64 ? I2sLayout::k64 : I2sLayout::k128,
                    .fingerprint = *source,
                    .head = std::nullopt,
                    .checksums = take_checksums(gguf)};
  check_directory(gguf, ready.checksums[0]);
  check_layout(gguf, ready.layout);
  ready.checksums.erase(ready.checksums.begin());
  if (!gguf.tensors.empty() && gguf.tensors.back().name == kHeadTensor) ready.head = take_last(gguf);
  return ready;
}

}  // namespace tern::engine
