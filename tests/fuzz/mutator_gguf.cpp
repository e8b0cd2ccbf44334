// For GGUF: the numbers of the header become others, beside changes of bytes.
#include "tests/fuzz/gguf_fields.h"
#include "tests/fuzz/mutate.h"

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  using namespace tern::fuzz;
  Rng rng(seed);
  const std::span<std::uint8_t> file(data, size);
  const std::vector<GgufField> fields = gguf_fields(file);
  if (fields.empty() || pick(rng, 2) == 0) return LLVMFuzzerMutate(data, size, max_size);
  const GgufField field = fields[pick(rng, fields.size())];
  const std::size_t way = pick(rng, 3);
  if (way == 0) {
    set_field(file, field, edge(pick(rng, kEdges)));
  } else if (way == 1) {
    set_field(file, field, get_field(file, field) + pick(rng, 33) - 16);
  } else {
    set_field(file, field, get_field(file, fields[pick(rng, fields.size())]));
  }
  return size;
}
