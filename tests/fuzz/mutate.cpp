#include "tests/fuzz/mutate.h"

#include <algorithm>

namespace tern::fuzz {

std::size_t put_back(const Bytes& mutated, std::uint8_t* data, std::size_t max_size) {
  const std::size_t size = std::min(mutated.size(), max_size);
  std::copy_n(mutated.begin(), size, data);
  return size;
}

void mutate_span(Bytes& bytes, std::size_t begin, std::size_t end) {
  constexpr std::size_t kRoom = 16;  // bytes that may come in addition
  const auto at = [&](std::size_t i) { return bytes.begin() + static_cast<std::ptrdiff_t>(i); };
  Bytes part(at(begin), at(end));
  part.resize(end - begin + kRoom);
  part.resize(LLVMFuzzerMutate(part.data(), end - begin, part.size()));
  bytes.erase(at(begin), at(end));
  bytes.insert(at(begin), part.begin(), part.end());
}

}  // namespace tern::fuzz
