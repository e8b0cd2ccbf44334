// Any bytes as config.json: parse it and translate it to GGUF's keys.

#include <cstddef>
#include <cstdint>

#include "tern/error.h"
#include "tests/huggingface/consume_directory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    static_cast<void>(tern::test::consume_config({reinterpret_cast<const char*>(data), size}));
  } catch (const tern::Error&) {
    // Refused, as nearly all inputs are.
  }
  return 0;
}
