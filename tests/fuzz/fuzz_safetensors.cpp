// Any bytes as model.safetensors: parse it, translate and convert its tensors.

#include <cstddef>
#include <cstdint>

#include "tern/error.h"
#include "tests/huggingface/consume_directory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    static_cast<void>(tern::test::consume_safetensors(std::as_bytes(std::span(data, size))));
  } catch (const tern::Error&) {
    // Refused, as nearly all inputs are.
  }
  return 0;
}
