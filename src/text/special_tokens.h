#pragma once

#include <optional>
#include <vector>

#include "src/format/gguf.h"
#include "src/text/vocabulary.h"
#include "tern/tokenizer.h"

namespace tern::text {

/// The token list of a file, its arrays checked against each other. Views into the file.
struct TokenTable {
  const format::StringArray& texts;   // (tokens)
  const format::NumberArray* scores;  // (tokens), f32; nullptr when the file has none
  std::vector<TokenType> types;       // (tokens); kNormal when the file has none
};

/// Errors    Error(kBadFile): no tokens, arrays of another type or length, an unknown type of token, a score of NaN
[[nodiscard]] TokenTable read_token_table(const format::Metadata& metadata);

/// Tokens with a role, and what encode adds.
struct SpecialTokens {
  std::optional<Token> bos;
  std::optional<Token> eos;
  std::optional<Token> unknown;
  bool add_bos = false;
  bool add_eos = false;
  std::vector<Token> stops;  // ascending
};

/// Reads the roles; what the file leaves out stays as in `defaults` (a default id beyond the list is dropped).
///
/// Tokens that begin or end something become kControl in `table`, whatever the file says, so that text from a user
/// never turns into them. Stop tokens are those that the file names (EOS, end of turn, of message, fill-in-the-middle
/// ends) and those whose text is a known end marker.
/// Errors    Error(kBadFile): an id that is not in the list, a key of another type
[[nodiscard]] SpecialTokens read_special_tokens(const format::Metadata& metadata, TokenTable& table,
                                                SpecialTokens defaults);

}  // namespace tern::text
