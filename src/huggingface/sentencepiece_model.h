#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "src/huggingface/tokenizer_draft.h"

namespace tern::huggingface {

/// Reads SentencePiece's tokenizer.model, of kind BPE.
///
/// Errors    Error(kBadFile): not such a file, or contradictory; Error(kUnsupported): another kind
[[nodiscard]] TokenizerDraft read_sentencepiece_model(std::span<const std::byte> file, const std::string& source);

}  // namespace tern::huggingface
