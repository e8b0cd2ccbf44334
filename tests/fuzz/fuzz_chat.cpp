// A chat template of any bytes, compiled and rendered.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tern/error.h"
#include "tests/chat/consume_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    if (!tern::test::consume_template({reinterpret_cast<const char*>(data), size})) std::abort();
  } catch (const tern::Error&) {
    // Most bytes are no template.
  }
  return 0;
}
