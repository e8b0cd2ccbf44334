#include "tools/conversation_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "tern/error.h"
#include "tools/json.h"

namespace tern::tools {
namespace {

constexpr JsonLimits kLimits = {.bytes = kMaxConversationBytes, .depth = 4};
constexpr std::size_t kMaxMessages = 100'000;
// Templates make control tokens of roles, so that a file may not choose them.
constexpr std::string_view kRoles[] = {"system", "user", "assistant"};

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::kInvalidArgument, message); }

std::string text_field(const Json& message, const char* field, std::size_t number) {
  const auto found = message.find(field);
  if (found == message.end() || !found->is_string()) {
    refuse(fmt::format("message {}: expected a text as its {}", number, field));
  }
  return found->get<std::string>();
}

ChatMessage parse_message(const Json& json, std::size_t number) {
  if (!json.is_object() || json.size() != 2) {
    refuse(fmt::format("message {}: expected an object of role and content", number));
  }
  ChatMessage message{text_field(json, "role", number), text_field(json, "content", number)};
  if (std::ranges::find(kRoles, message.role) == std::end(kRoles)) {
    refuse(fmt::format("message {}: expected the role system, user or assistant, found another", number));
  }
  return message;
}

}  // namespace

std::string format_conversation(std::span<const ChatMessage> messages) {
  Json list = Json::array();
  for (const ChatMessage& message : messages) list.push_back({{"role", message.role}, {"content", message.content}});
  return Json({{"messages", std::move(list)}}).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<ChatMessage> parse_conversation(std::string_view text) {
  const Json json = parse_json(text, kLimits);
  const bool is_conversation = json.is_object() && json.size() == 1 && json.contains("messages");
  if (!is_conversation || !json["messages"].is_array()) {
    refuse("expected an object with a list of messages and nothing else");
  }
  const Json& list = json["messages"];
  if (list.size() > kMaxMessages) refuse(fmt::format("{} messages: at most {}", list.size(), kMaxMessages));
  std::vector<ChatMessage> messages;
  for (const Json& message : list) messages.push_back(parse_message(message, messages.size() + 1));
  return messages;
}

}  // namespace tern::tools
