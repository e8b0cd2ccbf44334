/// MiniCPM with ternary layers (BitCPM4): the graph of llama.cpp with three scales, of the embedding, of what each
/// branch adds to the residual stream, and of the final hidden state.
/// Source    Hu et al. 2024, arXiv:2404.06395, section 3
#include "src/architectures/builders.h"
#include "src/architectures/llama.h"

namespace tern::architectures {

std::unique_ptr<Architecture> build_minicpm(const format::Gguf& gguf, nn::WeightStore& weights) {
  const ConfigTraits traits{.pairing = nn::RopePairing::kNorm, .scales = true};
  return build_llama_graph(read_config(gguf, "minicpm", traits, weights), gguf, weights);
}

}  // namespace tern::architectures
