#pragma once

#include <string>

#include "tern/conversation.h"

/// Conversations in files, as conversation_json.h has them.
namespace tern::tools {

/// Writes the messages to a file that is replaced when it is complete. What is there and no conversation stays.
///
/// Errors    Error(kIo); Error(kInvalidArgument): another file is there
void save_conversation(const std::string& path, const Conversation& conversation);

/// Replaces the messages by those of a file.
///
/// Errors    Error(kIo); Error(kBadFile): not such a file, or not questions and answers in turn. The conversation is as
///           before
void load_conversation(const std::string& path, Conversation& conversation);

}  // namespace tern::tools
