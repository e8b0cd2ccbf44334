#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "src/chat/text.h"

namespace tern::chat {

enum class TokenKind {
  kText,        // what is printed as it stands
  kPrintBegin,  // {{
  kPrintEnd,    // }}
  kBlockBegin,  // {%
  kBlockEnd,    // %}
  kName,
  kString,
  kInteger,
  kReal,
  kOperator,
  kEnd,
};

struct TemplateToken {
  TokenKind kind = TokenKind::kEnd;
  std::size_t line = 0;
  std::string word;  // of a name, number or operator
  Text text;         // of kText and kString
};

/// Cuts a template into tokens, ending in kEnd. Comments are gone, `raw` blocks are text.
///
/// White space goes as Hugging Face's settings of Jinja have it: the newline after a block or comment (trim_blocks),
/// spaces between a line's begin and one (lstrip_blocks), all of it on the side of a `-`, and one newline at the end.
/// Errors    Error(kBadFile): a tag or string that does not end, brackets that do not match, a character without
/// meaning Source    the documentation of Jinja 3.1, "Template Designer Documentation"
[[nodiscard]] std::vector<TemplateToken> lex(std::string_view source);

/// What a word or the end is called in messages.
[[nodiscard]] std::string describe(const TemplateToken& token);

}  // namespace tern::chat
