// Any bytes as a saved conversation: what is taken has to come back the same when it is saved and read again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tern/error.h"
#include "tools/conversation_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto messages = tern::tools::parse_conversation({reinterpret_cast<const char*>(data), size});
    const auto again = tern::tools::parse_conversation(tern::tools::format_conversation(messages));
    if (again.size() != messages.size()) std::abort();
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (again[i].role != messages[i].role || again[i].content != messages[i].content) std::abort();
    }
  } catch (const tern::Error&) {
    // Most bytes are no conversation.
  }
  return 0;
}
