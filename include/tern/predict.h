#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tern/session.h"

/// How a model would run on this machine, before anybody downloads it.
namespace tern {

enum class HeadKind {
  kTied,  ///< the embedding is the output head as well
  kOwn,   ///< an output head of its own
  kNone,  ///< text goes in, a vector comes out
};

/// The sizes of a model: all that speed and memory depend on.
struct ModelShape {
  std::string name;
  std::string architecture;  ///< as in GGUF files; decides on norms and activation
  std::size_t n_layers = 0;
  std::size_t dim = 0;
  std::size_t ffn_dim = 0;
  std::size_t n_heads = 0;
  std::size_t n_kv_heads = 0;
  std::size_t head_dim = 0;
  std::size_t vocab_size = 0;
  std::size_t context_length = 0;  ///< tokens, as trained
  HeadKind head = HeadKind::kTied;
  bool confirmed = true;       ///< false: not every number was found in the model's own files
  std::size_t scale_cols = 0;  ///< columns of a ternary layer that share a scale; 0: all
  bool ternary_head = false;   ///< embedding and output head are ternary too
};

/// Published ternary models.
[[nodiscard]] std::span<const ModelShape> published_models();

struct PredictOptions {
  std::size_t prompt_tokens = 512;
  std::size_t depth = 0;        ///< tokens that the text holds when the next ones are generated
  std::size_t context = 4096;   ///< tokens that the KV cache has room for; no more than the model's own context
  unsigned threads = 0;         ///< 0 = physical cores
  std::string kernel = "auto";  ///< as OpenOptions::kernel
  KvType kv_type = KvType::kF16;
  double seconds = 1.0;  ///< of measuring each of prompt and decoding, at least three repetitions
  /// Asked between measurements; false ends them, and what is not measured is empty.
  std::function<bool()> keep_going = {};
};

struct Prediction {
  std::uint64_t n_parameters = 0;
  std::uint64_t ternary_bytes = 0;    ///< kernel-ready
  std::uint64_t head_bytes = 0;       ///< of 8 bits a weight, or ternary
  std::uint64_t float_bytes = 0;      ///< norms
  std::uint64_t embedding_bytes = 0;  ///< F16 or of 2 bits a weight, mapped; a token reads one row
  std::uint64_t kv_bytes_per_token = 0;
  std::size_t context = 0;           ///< tokens that kv_bytes is for
  std::uint64_t kv_bytes = 0;        ///< of a full context
  std::uint64_t resident_bytes = 0;  ///< memory that has to be there: all of these but the embedding
  std::uint64_t bytes_read_per_token = 0;

  std::string decode_kernel;
  std::string prompt_kernel;
  unsigned threads = 0;
  std::size_t layers_measured = 0;       ///< of n_layers, at least so many that no cache holds them
  std::size_t head_rows_measured = 0;    ///< of vocab_size
  std::vector<double> decode_seconds;    ///< of a token, each repetition
  std::vector<double> prompt_seconds;    ///< of the whole prompt
  std::vector<double> read_bytes_per_s;  ///< of reading the same weights alone, in turns with decoding
};

/// Computes layers of this shape with random weights, and the head, as a model does, and counts them up to the whole.
///
/// Errors    Error: kInvalidArgument (sizes that no model here may have, which are named; memory; kernel)
[[nodiscard]] Prediction predict(const ModelShape& shape, const PredictOptions& options = {});

}  // namespace tern
