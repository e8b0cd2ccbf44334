#pragma once

#include <memory>

#include "src/architectures/architecture.h"
#include "src/nn/feed_forward.h"

namespace tern::architectures {

/// The BitNet graph with the given activation; its two published variants differ in nothing else.
std::unique_ptr<Architecture> build_bitnet_graph(const format::Gguf& gguf, nn::WeightStore& weights,
                                                 nn::Activation activation);

}  // namespace tern::architectures
