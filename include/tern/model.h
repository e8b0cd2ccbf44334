#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tern/tokenizer.h"

namespace tern {

/// How the codes of an I2_S tensor lie in the file; the file itself does not say.
enum class I2sLayout {
  k128,  ///< blocks of 128, written on x86 and by every Python converter (and so by the published files)
  k64,   ///< blocks of 64, written by quantize tools built for ARM
};

/// How the weights of the output head are held.
enum class HeadType {
  kInt8,  ///< 8 bits and a scale for each row, made while loading: half of what F16 has to be read for every token;
          ///< a ternary head as the ternary layers, its input quantized like theirs
  kFile,  ///< as they are in the file, multiplied as floats
};

struct OpenOptions {
  /// Threads used while loading; 0 = physical cores.
  unsigned threads = 0;
  /// Ternary kernels: "auto", a family ("addsub", "dot"), the name of one kernel, or DECODE+PROMPT, two of them. "auto"
  /// is the add/subtract-only family, but where a dot-product kernel is measured to be 1.25 times as fast: for a size
  /// of batch, or in the mean where it needs weights packed in another way.
  std::string kernel = "auto";
  I2sLayout i2s_layout = I2sLayout::k128;
  HeadType head = HeadType::kInt8;
  /// Overrides the pre-tokenizer rule of the file; empty keeps it.
  std::string pre_rule = {};
  /// Called now and then while loading with the share done, 0 to 1, from one thread at a time.
  std::function<void(double)> on_progress = {};
};

/// One tensor of the file.
struct TensorSummary {
  std::string name;
  std::string type;                ///< as in the file, e.g. "TQ2_0"
  std::vector<std::size_t> shape;  ///< row-major, slowest first: (rows, cols)
  std::uint64_t file_bytes = 0;
  bool ternary = false;  ///< a ternary layer; embedding and head are none, whatever their type
};

/// Batches of `min_tokens` and more, up to the next step, are computed by this phase of this kernel.
struct KernelStep {
  std::size_t min_tokens = 0;
  std::string kernel;
  std::string phase;  ///< "decode" or "prompt"
};

/// The hyper-parameters that every architecture here shares.
struct ModelSummary {
  std::filesystem::path path;
  std::string architecture;
  std::string name;
  std::string license;
  std::size_t n_layers = 0;
  std::size_t dim = 0;
  std::size_t ffn_dim = 0;
  std::size_t n_heads = 0;
  std::size_t n_kv_heads = 0;
  std::size_t head_dim = 0;
  std::size_t vocab_size = 0;      ///< rows of the embedding
  std::size_t context_length = 0;  ///< tokens, as trained
  bool tied_embeddings = false;
  bool embedding_only = false;  ///< gives vectors (see Embedder), and has no head to generate text with
  std::uint64_t n_parameters = 0;
  std::uint64_t n_ternary_weights = 0;  ///< of the layers: a ternary embedding or head does not count
  std::uint64_t file_bytes = 0;
  std::uint64_t ternary_bytes = 0;         ///< in memory, kernel-ready; with scales once loaded
  std::uint64_t float_bytes = 0;           ///< norms and other floats that every token reads; head_bytes not included
  std::uint64_t head_bytes = 0;            ///< of the output head as it is used: in memory, or mapped
  std::uint64_t embedding_bytes = 0;       ///< in the file, where a token reads one row; 0 when it is the head as well
  std::uint64_t bytes_read_per_token = 0;  ///< weights that one decode step reads
  std::uint64_t kv_bytes_per_token_f16 = 0;
  std::size_t scale_cols = 0;            ///< columns that share a scale in the first ternary layer; 0: all of a row
  std::string ternary_scales;            ///< "tensor", "row", "block 256", or several; empty for inspect()
  std::string decode_kernel;             ///< names of the kernels that will run: for one token
  std::string prompt_kernel;             ///< for the largest batches
  std::vector<KernelStep> kernel_steps;  ///< which kernel computes which batches, ascending
  std::string float_kernel;
  std::string head_type;    ///< of the weights that are multiplied: "int8", as in the file, e.g. "F16", or "none"
  std::string head_kernel;  ///< which multiplies them
  std::vector<std::string> notes;  ///< remarks for the user, one line each
  std::vector<TensorSummary> tensors;
};

namespace engine {
struct LoadedModel;
}

/// An opened model: weights ready to run, tokenizer, description.
///
/// Threads   immutable; share it between as many sessions as you like
class Model {
 public:
  /// Maps a GGUF file, the parts of a split one (named by any of them) or a directory as Hugging Face publishes models,
  /// and repacks its ternary tensors for the chosen kernels.
  ///
  /// Errors    Error: kIo (not there, not a file), kBadFile (truncated, contradictory, wrong shape),
  ///           kUnsupported (architecture, type, version; lists what is known), kInvalidArgument (kernel,
  ///           pre-tokenizer rule)
  /// Cost      reads every byte of the files once
  /// Requires  that the file is not changed while the model lives: embedding and head stay mapped. To replace a model
  ///           file, rename a new one over it.
  [[nodiscard]] static std::shared_ptr<const Model> open(const std::filesystem::path& path,
                                                         const OpenOptions& options = {});

  explicit Model(std::unique_ptr<const engine::LoadedModel> loaded);
  ~Model();

  [[nodiscard]] const ModelSummary& summary() const noexcept;
  [[nodiscard]] const Tokenizer& tokenizer() const noexcept;
  /// Tells models apart: a hash of the file's size, its metadata and a sample of every tensor, and of how it is read.
  [[nodiscard]] std::uint64_t fingerprint() const noexcept;
  [[nodiscard]] const engine::LoadedModel& loaded() const noexcept { return *loaded_; }

 private:
  std::unique_ptr<const engine::LoadedModel> loaded_;
};

/// A description of the file, and of the kernels that would run it: nothing is repacked.
///
/// Errors    as Model::open, but tensor data are not read
[[nodiscard]] ModelSummary inspect(const std::filesystem::path& path, const OpenOptions& options = {});

}  // namespace tern
