// Any bytes as a GGUF file: parse it, read all metadata, decode all tensors.

#include <cstddef>
#include <cstdint>

#include "tern/error.h"
#include "tests/support/consume_gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tern::test::consume_gguf(std::as_bytes(std::span(data, size)));
  } catch (const tern::Error&) {
    // Refused, as nearly all inputs are.
  }
  return 0;
}
