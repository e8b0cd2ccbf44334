// For fuzzers whose inputs are JSON: changes of values, members and keys beside changes of bytes.
#include "tests/fuzz/mutate_json.h"

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  tern::fuzz::Rng rng(seed);
  tern::fuzz::Bytes text(data, data + size);
  if (tern::fuzz::pick(rng, 4) == 0 || !tern::fuzz::mutate_json(text, rng)) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  return tern::fuzz::put_back(text, data, max_size);
}
