// Any bytes as a tensor of any type: decode its rows, plan its scales, repack it.

#include <cstddef>
#include <cstdint>

#include "tern/error.h"
#include "tests/support/consume_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tern::test::consume_codec(std::as_bytes(std::span(data, size)));
  } catch (const tern::Error&) {
    // A scale that is not a positive number.
  }
  return 0;
}
