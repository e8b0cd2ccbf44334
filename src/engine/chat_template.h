#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/format/gguf.h"

namespace tern::engine {

/// The source of a file's chat template.
struct TemplateSource {
  std::string_view text;
  std::string note;  // for the user, when it is not the file's own; else empty
};

/// tokenizer.chat_template, or what a file with several names `default`; none when there is no such text.
[[nodiscard]] std::optional<TemplateSource> find_chat_template(const format::Metadata& metadata);

}  // namespace tern::engine
