// A tiny kernel-ready file with some of its bytes replaced, whose keys and directory have the right checksum all the
// same: opened, and some tokens computed.
//
//     input    | position: 3 bytes | value: 1 byte | ...

#include <cstddef>
#include <cstdint>

#include "tern/error.h"
#include "tests/support/consume_kernel_ready.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::byte> whole = tern::test::tiny_kernel_ready("plain");
  std::vector<std::byte> bytes = whole;
  for (std::size_t i = 0; i + 4 <= size; i += 4) {
    const std::size_t at = data[i] | std::size_t{data[i + 1]} << 8U | std::size_t{data[i + 2]} << 16U;
    bytes[at % bytes.size()] = static_cast<std::byte>(data[i + 3]);
  }
  tern::test::mend_directory(bytes);
  try {
    tern::test::consume_model(bytes, "reference", 2);
  } catch (const tern::Error&) {
    // Refused, as most inputs are.
  }
  return 0;
}
