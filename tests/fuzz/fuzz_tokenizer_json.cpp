// Any bytes as tokenizer.json: a tokenizer of them, and a text through it.

#include <cstddef>
#include <cstdint>

#include "tern/error.h"
#include "tests/huggingface/consume_directory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    static_cast<void>(tern::test::consume_tokenizer_json({reinterpret_cast<const char*>(data), size}));
  } catch (const tern::Error&) {
    // Refused, as nearly all inputs are.
  }
  return 0;
}
