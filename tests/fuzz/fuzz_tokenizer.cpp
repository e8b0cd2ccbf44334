// A tokenizer from any tokens and merges, and any text through it and back.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "tern/error.h"
#include "tests/text/consume_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    if (!tern::test::consume_tokenizer(std::as_bytes(std::span(data, size)))) std::abort();
  } catch (const tern::Error&) {
    // Merges that are not two texts, a byte token that is not spelled as one, a role for a token that is not there.
  }
  return 0;
}
