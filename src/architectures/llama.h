#pragma once

#include <memory>

#include "src/architectures/architecture.h"

namespace tern::architectures {

/// The Llama graph with the scales of a config, which Llama itself leaves at 1.
std::unique_ptr<Architecture> build_llama_graph(const Config& config, const format::Gguf& gguf,
                                                nn::WeightStore& weights);

}  // namespace tern::architectures
