#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tern/chat.h"

namespace tern::test {

/// Compiles and renders any bytes. The first decides how long a message they begin with; the rest is the template.
///
/// True when the ranges of what users wrote lie in the text, apart and in order. Throws tern::Error when the template
/// is refused.
inline bool consume_template(std::string_view bytes) {
  if (bytes.empty()) return true;
  const std::size_t size = std::min<std::size_t>(static_cast<unsigned char>(bytes[0]), bytes.size() - 1);
  const std::string content(bytes.substr(1, size));
  const ChatTemplate chat = ChatTemplate::compile(bytes.substr(1 + size));
  const std::vector<ChatMessage> messages = {{"system", "Be brief."},
                                             {"user", content},
                                             {"assistant", "", R"({"tool_calls": [{"name": "f", "n": [1, 2.5]}]})"}};
  const RenderedChat rendered =
      chat.render_marked(messages, {.bos_token = "<s>", .tools_json = R"([{"a": {"b": [true, null, "c"]}}])"});
  std::size_t end = 0;
  for (const TextRange& range : rendered.untrusted) {
    if (range.begin < end || range.begin >= range.end || range.end > rendered.text.size()) return false;
    end = range.end + 1;
  }
  return true;
}

}  // namespace tern::test
