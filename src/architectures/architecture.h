#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "src/format/gguf.h"
#include "src/nn/compute.h"
#include "src/nn/feed_forward.h"
#include "src/nn/kv_cache.h"
#include "src/nn/matrix_view.h"
#include "src/nn/rope.h"
#include "src/nn/weight_store.h"

/// Model architectures: one file each, one line each in architecture_table.cpp.
namespace tern::architectures {

/// What every architecture here reads from the file's metadata.
struct Config {
  std::size_t n_layers = 0;
  std::size_t dim = 0;      // width of the residual stream
  std::size_t ffn_dim = 0;  // width inside the feed-forward layer
  std::size_t n_heads = 0;
  std::size_t n_kv_heads = 0;  // divides n_heads
  std::size_t head_dim = 0;
  std::size_t vocab_size = 0;      // rows of the embedding
  std::size_t context_length = 0;  // tokens, as trained
  float norm_eps = 0.0f;
  float attention_scale = 0.0f;  // multiplies q . k
  nn::RopeParameters rope;
  float embedding_scale = 1.0f;  // multiplies rows of the embedding
  float residual_scale = 1.0f;   // multiplies what attention and feed-forward add to the residual stream
  float output_scale = 1.0f;     // multiplies the final hidden state
  std::size_t window = 0;        // positions that a local layer's attention sees; 0: no layer is local
  std::vector<bool> is_local;    // (n_layers), or empty
  nn::RopeParameters local_rope;

  [[nodiscard]] bool has_local(std::size_t layer) const { return window > 0 && is_local[layer]; }
};

/// What sets an architecture's keys apart from those that all have.
struct ConfigTraits {
  nn::RopePairing pairing = nn::RopePairing::kNeox;
  bool windows = false;  // some layers may see a window only
  bool scales = false;   // keys embedding_scale, residual_scale and logit_scale
};

/// Reads and checks the hyper-parameters; keys are prefixed with the architecture's name. The frequency factors of
/// RoPE are a tensor of the store.
///
/// Errors    Error(kBadFile): a key missing, out of range, or in contradiction to another; Error(kUnsupported): a key
///           that asks for something no architecture here has
[[nodiscard]] Config read_config(const format::Gguf& gguf, std::string_view architecture, const ConfigTraits& traits,
                                 nn::WeightStore& weights);

/// Activations of one batch of tokens, named; allocated once per session for its largest batch.
class Activations {
 public:
  Activations(const Config& config, std::size_t max_tokens);

  /// Views for a batch of n_tokens <= max_tokens.
  struct Views {
    nn::MatrixView x;         // (n_tokens, dim) residual stream
    nn::MatrixView normed;    // (n_tokens, dim) input of attention or feed-forward, after its norm
    nn::MatrixView q;         // (n_tokens, n_heads * head_dim)
    nn::MatrixView k;         // (n_tokens, n_kv_heads * head_dim)
    nn::MatrixView v;         // (n_tokens, n_kv_heads * head_dim)
    nn::MatrixView attn_out;  // (n_tokens, n_heads * head_dim)
    nn::MatrixView gate;      // (n_tokens, ffn_dim)
    nn::MatrixView up;        // (n_tokens, ffn_dim)
    nn::MatrixView branch;    // (n_tokens, dim) what attention or feed-forward adds to x
  };
  [[nodiscard]] Views views(std::size_t n_tokens);

 private:
  Config config_;
  std::size_t max_tokens_;
  AlignedBuffer<float> memory_;
};

/// One batch of tokens on its way through the layers: consecutive tokens of a text, or tokens of several.
struct Pass {
  nn::Compute compute;
  std::span<const Token> tokens;           // (n_tokens)
  std::span<const nn::TokenPlace> places;  // (n_tokens) where each stands
  const nn::RopeTable& rope;               // reserved for all positions of the batch
  const nn::RopeTable& local_rope;         // of layers that see a window; reserved too if there are any
  Activations::Views act;
};

/// Embedding, output norm and head, which surround the layers of every decoder.
struct OuterWeights {
  const nn::Linear* embedding = nullptr;  // (vocab_size, dim)
  const nn::Linear* head = nullptr;       // (vocab_size, dim); the embedding itself when the file has no output.weight
  std::span<const float> output_norm;     // (dim)
};

/// A model's layers. Immutable; forward() may run in several sessions at once.
class Architecture {
 public:
  virtual ~Architecture() = default;
  /// Runs all layers: leaves the final hidden state, after the output norm, in pass.act.x, (n_tokens, dim), and the
  /// tokens' keys and values in their caches.
  virtual void forward(Pass& pass) const = 0;

  [[nodiscard]] const Config& config() const noexcept { return config_; }
  /// Logits = head @ hidden state. (vocab_size, dim)
  [[nodiscard]] const nn::Linear& head() const noexcept { return *outer_.head; }
  /// (vocab_size, dim)
  [[nodiscard]] const nn::Linear& embedding() const noexcept { return *outer_.embedding; }

 protected:
  Architecture(const Config& config, const OuterWeights& outer) : config_(config), outer_(outer) {}

  Config config_;
  OuterWeights outer_;
};

/// What sets a layer apart from Llama's, as far as its time shows it: predictions are made with layers of this form.
struct LayerForm {
  nn::Activation activation = nn::Activation::kSilu;
  bool head_norms = false;  // of queries and keys
  bool sub_norms = false;   // before the last projection of attention and feed-forward
  bool post_norms = false;  // after it
};

/// An entry of the table: builds an architecture, asking the store for its tensors.
struct Entry {
  std::string_view name;  // general.architecture
  std::unique_ptr<Architecture> (*build)(const format::Gguf& gguf, nn::WeightStore& weights);
  LayerForm layer = {};
};

[[nodiscard]] std::span<const Entry> all_architectures() noexcept;
/// Llama's for a name that is not in the table.
[[nodiscard]] LayerForm layer_form(std::string_view architecture) noexcept;

/// Errors    Error(kUnsupported): the file's architecture is not in the table (lists what is); Error(kBadFile)
[[nodiscard]] std::unique_ptr<Architecture> build(const format::Gguf& gguf, nn::WeightStore& weights);

}  // namespace tern::architectures
