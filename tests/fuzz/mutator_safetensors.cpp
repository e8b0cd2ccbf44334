// For safetensors: the header changes as JSON, and its length with it.
#include <algorithm>
#include <cstring>

#include "tests/fuzz/mutate_json.h"

namespace {

using tern::fuzz::Bytes;
constexpr std::size_t kLengthBytes = 8;

/// The header of an input whose length tells the truth; otherwise none.
Bytes header_of(const Bytes& file) {
  std::uint64_t length = 0;
  if (file.size() < kLengthBytes) return {};
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > file.size() - kLengthBytes) return {};
  const auto begin = file.begin() + kLengthBytes;
  return {begin, begin + static_cast<std::ptrdiff_t>(length)};
}

Bytes with_header(const Bytes& file, const Bytes& header, std::size_t replaced) {
  const std::uint64_t length = header.size();
  Bytes changed(kLengthBytes);
  std::memcpy(changed.data(), &length, kLengthBytes);
  changed.insert(changed.end(), header.begin(), header.end());
  changed.insert(changed.end(), file.begin() + static_cast<std::ptrdiff_t>(kLengthBytes + replaced), file.end());
  return changed;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  tern::fuzz::Rng rng(seed);
  const Bytes file(data, data + size);
  Bytes header = header_of(file);
  const std::size_t replaced = header.size();
  if (tern::fuzz::pick(rng, 4) == 0 || !tern::fuzz::mutate_json(header, rng)) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  return tern::fuzz::put_back(with_header(file, header, replaced), data, max_size);
}
