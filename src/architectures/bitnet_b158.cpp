/// BitNet b1.58 2B4T (architectures "bitnet-b1.58" and "bitnet-25"): the graph of bitnet.cpp with squared ReLU in place
/// of SiLU. The file carries no key for the activation; the architecture's name alone tells.
/// Source    Ma et al. 2025, arXiv:2504.12285, section 2
#include "src/architectures/bitnet.h"
#include "src/architectures/builders.h"

namespace tern::architectures {

std::unique_ptr<Architecture> build_bitnet_b158(const format::Gguf& gguf, nn::WeightStore& weights) {
  return build_bitnet_graph(gguf, weights, nn::Activation::kRelu2);
}

}  // namespace tern::architectures
