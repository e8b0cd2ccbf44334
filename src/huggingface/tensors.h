#pragma once

#include <span>

#include "src/huggingface/config.h"
#include "src/huggingface/safetensors.h"

namespace tern::huggingface {

/// Adds a checkpoint's tensors to `model`, under GGUF's names and with GGUF's shapes; its ternary layers become I2_S,
/// or a type with block scales, when they are read. Tensors that GGUF has no name for keep theirs, so that an
/// architecture can refuse them.
///
/// Errors    Error(kBadFile): a shape or scale that makes no sense, no own head though there has to be one;
///           Error(kUnsupported): a dtype
void add_tensors(std::span<const StoredTensor> tensors, const WeightsConfig& config, format::Gguf& model);

}  // namespace tern::huggingface
