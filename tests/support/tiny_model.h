#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/gguf_builder.h"

namespace tern::test {

/// A model small enough for a test to run in milliseconds: random ternary layers, a byte-level vocabulary with merges
/// of a few English words. The same options give the same bytes on every machine.
struct TinyModelOptions {
  std::string architecture = "bitnet-b1.58";  ///< bitnet, bitnet-b1.58, gemma3, llama, minicpm, qwen3
  std::string type = "TQ2_0";                 ///< of the linear layers: F16, or one of pack_ternary.h
  std::string embedding_type = {};            ///< of embedding and head: the same; empty: F16 that is not ternary
  std::uint64_t seed = 1;
  bool one_scale = true;       ///< a scale for each tensor; false: one for each block or row, as the type has them
  std::size_t scale_cols = 0;  ///< columns of such a block, a multiple of the type's; 0: as the type has them
  bool zeros = true;           ///< false: weights are -1 and +1, as Q1_0 demands
  bool tied_embeddings = true;
  bool input_norms = false;  ///< a norm of its own for every projection, in F16
  std::size_t window = 0;    ///< positions that a local layer of gemma3 sees; 0: none is local
  std::size_t period = 2;    ///< of gemma3: every so many layers, one is not local
  std::size_t n_layers = 2;
  std::size_t dim = 256;      ///< a multiple of 256
  std::size_t ffn_dim = 512;  ///< a multiple of 256
  std::size_t n_heads = 4;    ///< n_heads * head_dim: a multiple of 256
  std::size_t n_kv_heads = 2;
  std::size_t head_dim = 64;
  std::size_t context = 128;  ///< tokens
  std::string chat_template = {};
  std::size_t vocab_tokens =
      0;                       ///< at least; those beyond the first ones are marked as unused, as some programs demand
  std::size_t vocab_rows = 0;  ///< rows of the embedding at least; those beyond the vocabulary stand for no token
};

/// The model as the parts of its file, so that a test may break one of them before it is built.
[[nodiscard]] GgufBuilder make_tiny_model(const TinyModelOptions& options = {});

/// Requires a tensor of this name.
[[nodiscard]] GgufBuilder::Tensor& find_tensor(GgufBuilder& model, std::string_view name);

/// Writes bytes to a file; throws std::runtime_error when that fails.
void write_file(const std::string& path, const std::vector<std::byte>& bytes);

}  // namespace tern::test
