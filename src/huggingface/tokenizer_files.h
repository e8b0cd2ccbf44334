#pragma once

#include "src/format/gguf.h"
#include "src/huggingface/checkpoint_files.h"

namespace tern::huggingface {

/// Translates what a directory's files say about tokens and conversations to GGUF's keys, which are added to `model`:
/// tokenizer.json or tokenizer.model, tokenizer_config.json, generation_config.json, chat_template.jinja. `config` is
/// its config.json.
///
/// Errors    Error(kBadFile), Error(kUnsupported)
void translate_tokenizer(const DirectoryReader& directory, const Field& config, format::Gguf& model);

}  // namespace tern::huggingface
