#pragma once

#include "src/huggingface/json.h"
#include "src/huggingface/tokenizer_draft.h"

namespace tern::huggingface {

/// Translates a tokenizer.json: byte-level BPE, and the BPE with byte tokens that SentencePiece vocabularies become.
///
/// Errors    Error(kUnsupported): another kind of model, or a step before or after it that would change the tokens;
///           Error(kBadFile): contradictory
[[nodiscard]] TokenizerDraft read_tokenizer_json(const Field& json, Arena& arena);

/// Refuses an added token that takes spaces around it along, or that is none within a word.
///
/// Errors    Error(kUnsupported)
void check_added_token(const Field& token, std::string_view text);

}  // namespace tern::huggingface
