#pragma once

#include <string_view>

#include "src/format/gguf.h"
#include "tern/tokenizer.h"

namespace tern::text {

/// The tokenizer that a file's tokenizer.ggml.* keys describe. It owns all it needs: the file may go away.
///
/// `pre_rule_override` replaces the file's tokenizer.ggml.pre unless it is empty.
/// Errors    Error(kBadFile): keys that are missing or contradict each other; Error(kUnsupported): another kind of
///           tokenizer, an unknown rule, or a rule for a tokenizer that has none
[[nodiscard]] Tokenizer make_tokenizer(const format::Metadata& metadata, std::string_view pre_rule_override);

}  // namespace tern::text
