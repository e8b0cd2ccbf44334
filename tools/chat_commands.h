#pragma once

#include <string>
#include <string_view>

#include "tern/conversation.h"

namespace tern::tools {

/// What a line that was typed into a chat asks for.
struct ChatLine {
  bool is_command = false;
  std::string text;  ///< a question, or a command without its first "/"
};

/// "/..." is a command, "//..." a question that begins with one "/", anything else a question.
[[nodiscard]] ChatLine parse_chat_line(std::string_view line);

/// Carries out a command, "NAME ARGUMENT"; says what it did on standard error. False when it was the last one.
///
/// Errors    Error(kInvalidArgument): no such command, an argument too many or too few; Error(kIo), Error(kBadFile).
///           The conversation is as before
bool run_chat_command(std::string_view command, Conversation& conversation);

/// The commands, one on a line.
[[nodiscard]] std::string describe_chat_commands();

}  // namespace tern::tools
