#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/format/gguf.h"
#include "src/huggingface/json.h"
#include "src/huggingface/ternary.h"

namespace tern::huggingface {

/// What config.json says about the weights.
struct WeightsConfig {
  TernaryForm form = TernaryForm::kExact;       // of the ternary layers
  bool divides_by_scale = false;                // packed: by the number beside the codes; else it multiplies
  std::vector<std::string_view> float_modules;  // layers that stay in float
  std::size_t rotary_dim = 0;                   // elements of a head whose rows are reordered; 0: none
  enum class Head { kTied, kOwn, kAsFound } head = Head::kAsFound;
  bool attention_bias = false;  // of projections of self_attn, which Hugging Face ignores otherwise
  bool mlp_bias = false;        // the same of mlp
  bool gemma = false;           // Gemma's names of norms, whose weights are stored less 1
};

/// Translates config.json to GGUF's keys, which are added to `model`, with the tensor rope_freqs where the scaling of
/// RoPE needs it.
///
/// Errors    Error(kUnsupported): an architecture, activation, scaling or way to quantize that tern does not have;
///           Error(kBadFile): a key missing or of another type
[[nodiscard]] WeightsConfig translate_config(const Field& config, format::Gguf& model);

}  // namespace tern::huggingface
