#pragma once

#include <memory>
#include <optional>

#include "kernels/choice.h"
#include "src/architectures/architecture.h"
#include "src/base/mapped_files.h"
#include "src/engine/kernel_ready.h"
#include "src/format/gguf.h"
#include "src/nn/weight_store.h"
#include "tern/model.h"

namespace tern::engine {

/// Everything behind a Model. The members refer to each other, so it stays where it was made.
struct LoadedModel {
  std::filesystem::path path;
  MappedFiles files;
  format::Gguf gguf;                 // views into files
  std::optional<KernelReady> ready;  // of a kernel-ready file
  I2sLayout i2s_layout;
  nn::WeightStore weights;                                          // refers to gguf and files
  std::unique_ptr<const architectures::Architecture> architecture;  // refers to weights
  std::size_t scale_cols = 0;                                       // see WeightStore::scale_cols()
  kernels::Choice kernels;
  bool int8_head = false;  // whether load() quantizes the head
  std::optional<Tokenizer> tokenizer;
  ModelSummary summary;

  /// Maps and parses the files, chooses kernels, and checks every tensor's shape; reads no weights yet.
  LoadedModel(const std::filesystem::path& path, const OpenOptions& options);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  /// Reads tokenizer and weights.
  void load(const OpenOptions& options);

  /// Whether every projection has a norm of its own, as in the BitNet-embedding models.
  [[nodiscard]] bool has_input_norms() const { return gguf.find("blk.0.attn_q_norm_in.weight") != nullptr; }
  /// "qwen3.pooling_type"
  [[nodiscard]] std::string pooling_key() const;
  /// That key as GGUF counts poolings: 0 none, 1 mean, 2 CLS, 3 last, 4 rank; 0 without the key.
  [[nodiscard]] std::uint64_t pooling_type() const;
  /// Whether texts become vectors and nothing else: no output head was trained.
  [[nodiscard]] bool is_embedding_only() const;
};

/// Tells models apart, see Model::fingerprint(); a kernel-ready file has that of its source.
[[nodiscard]] std::uint64_t fingerprint(const LoadedModel& model) noexcept;

/// Describes a model from its file and, once they are loaded, its weights.
[[nodiscard]] ModelSummary summarize(const LoadedModel& model);

}  // namespace tern::engine
