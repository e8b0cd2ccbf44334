#include "tools/conversation_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "tern/error.h"
#include "tools/conversation_json.h"
#include "tools/input.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

/// True when a file that is there may be replaced.
bool is_replaceable(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored) || std::filesystem::file_size(path, ignored) == 0) return true;
  try {
    static_cast<void>(parse_conversation(read_file(path, kMaxConversationBytes)));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void save_conversation(const std::string& path, const Conversation& conversation) {
  if (!is_replaceable(path)) {
    throw Error(ErrorKind::kInvalidArgument,
                fmt::format("{}: is there and no conversation: expected another name", path));
  }
  const std::string text = format_conversation(conversation.messages());
  OutputFile file(path);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

void load_conversation(const std::string& path, Conversation& conversation) {
  const std::string text = read_file(path, kMaxConversationBytes);
  try {
    conversation.set_messages(parse_conversation(text));
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFile, fmt::format("{}: {}", path, error.what()));
  }
}

}  // namespace tern::tools
