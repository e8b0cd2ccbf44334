#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tern/model.h"
#include "tools/divergence.h"

namespace tern::tools {

/// Has two models predict a text, the built-in one if there is no `text`, and compares what they say of each of its
/// tokens, of the first 256 if there are more. One model after the other is open.
///
/// Errors    Error: as Model::open; kInvalidArgument: no tokens in the text, or models of different vocabularies
[[nodiscard]] PredictionDistance compare_models(const std::filesystem::path& p, const std::filesystem::path& q,
                                                const std::optional<std::string>& text, const OpenOptions& p_options,
                                                const OpenOptions& q_options);

}  // namespace tern::tools
