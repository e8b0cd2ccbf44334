#pragma once

#include <memory>

#include "src/architectures/architecture.h"

/// Constructors of the architectures, one per file, for architecture_table.cpp.
namespace tern::architectures {

std::unique_ptr<Architecture> build_bitnet(const format::Gguf& gguf, nn::WeightStore& weights);
std::unique_ptr<Architecture> build_bitnet_b158(const format::Gguf& gguf, nn::WeightStore& weights);
std::unique_ptr<Architecture> build_gemma3(const format::Gguf& gguf, nn::WeightStore& weights);
std::unique_ptr<Architecture> build_llama(const format::Gguf& gguf, nn::WeightStore& weights);
std::unique_ptr<Architecture> build_minicpm(const format::Gguf& gguf, nn::WeightStore& weights);
std::unique_ptr<Architecture> build_qwen3(const format::Gguf& gguf, nn::WeightStore& weights);

}  // namespace tern::architectures
