#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tern/chat.h"

/// Conversations as JSON for people and programs, {"messages": [{"role": "user", "content": "Hello"}, ...]}: also a
/// record of tern batch, when it is put on one line.
namespace tern::tools {

inline constexpr std::size_t kMaxConversationBytes = std::size_t{64} << 20;  // of such JSON

/// Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string format_conversation(std::span<const ChatMessage> messages);

/// Errors    Error(kInvalidArgument): not such JSON, or too much of it; a role that could become any control token
[[nodiscard]] std::vector<ChatMessage> parse_conversation(std::string_view text);

}  // namespace tern::tools
