#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "kernels/kernels.h"
#include "src/base/huge_buffer.h"
#include "src/base/mapped_files.h"
#include "src/base/text_hash.h"
#include "src/base/thread_pool.h"
#include "src/format/gguf.h"
#include "src/nn/linear.h"
#include "src/nn/packed_type.h"
#include "tern/model.h"

namespace tern::nn {

/// The weights of a model. An architecture asks for each tensor by name and shape and gets a handle that stays valid;
/// load() then reads them all.
///
/// Every shape is checked before any byte of a tensor is used, and load() reads nothing that was not asked for.
/// Errors    Error(kBadFile): missing tensor, wrong shape, bad contents; Error(kUnsupported): type
class WeightStore {
 public:
  WeightStore(const format::Gguf& gguf, const MappedFiles& files, I2sLayout i2s_layout)
      : gguf_(gguf), files_(files), i2s_layout_(i2s_layout) {}
  WeightStore(const WeightStore&) = delete;
  WeightStore& operator=(const WeightStore&) = delete;

  /// NAME.weight of shape (rows, cols), ternary or float, with NAME.bias and NAME.scale when the file has them.
  const Linear* linear(const std::string& name, std::size_t rows, std::size_t cols);
  /// A matrix that is read as floats, of a float type or a ternary one: the embedding, or the head.
  const Linear* embedding(const std::string& name, std::size_t rows, std::size_t cols);
  /// A float vector NAME.weight, copied to f32.
  std::span<const float> vector(const std::string& name, std::size_t size);
  /// The same, or an empty span when the file does not have it.
  std::span<const float> optional_vector(const std::string& name, std::size_t size);

  /// Error(kUnsupported) when the file holds a tensor that nobody asked for: the graph must be another one.
  void check_all_used() const;

  /// Has load() pack `head`, an embedding() of this store, for ternary kernels if it is of a ternary type; its float
  /// rows stay readable.
  void pack_head(const Linear& head);

  /// Has load() take the weights of `head`, an embedding() of this store, from this tensor, which holds them as kernels
  /// read them: int8, or packed. Its float rows stay readable.
  void map_head(const Linear& head, const format::TensorInfo& tensor, const kernels::HeadKernels& kernels);

  /// Embeddings of ternary types were checked when the file was made: load() leaves them alone.
  void skip_embedding_checks() noexcept { checks_embeddings_ = false; }

  /// The ternary matrices that load() would pack, and the tensors that they are in.
  struct Packable {
    const Linear* linear;
    const format::TensorInfo* tensor;
  };
  [[nodiscard]] std::vector<Packable> packables() const;
  /// How one of them would be packed. Errors as load().
  [[nodiscard]] PackedType plan(const Linear& linear, const kernels::TernaryLayout& layout) const;
  /// Packs one of them into memory of its own.
  struct Packed {
    AlignedBuffer<std::uint8_t> memory;
    weights::TernaryMatrix matrix;
  };
  [[nodiscard]] Packed pack(const Linear& linear, const kernels::TernaryLayout& layout, ThreadPool& pool) const;

  /// Columns that share a scale in the first ternary matrix, which others are like; 0: all of a row. Errors as load().
  [[nodiscard]] std::size_t scale_cols() const;

  /// Memory that load() will take for ternary weights, in bytes, without scales.
  [[nodiscard]] std::uint64_t packed_bytes(const kernels::TernaryLayout& layout) const;
  /// The share of one of them.
  [[nodiscard]] std::uint64_t packed_bytes(const kernels::TernaryLayout& layout, const Linear& linear) const;

  /// Repacks every ternary matrix into a layout, a tensor per thread at a time, and gives the file's pages back as it
  /// goes. Matrices that lie in the file as kernels read them stay there. `on_progress` gets the share done, 0 to 1,
  /// now and then, from the calling thread.
  void load(const kernels::TernaryLayout& layout, ThreadPool& pool, const std::function<void(double)>& on_progress);

  /// Gives `head`, an embedding() of this store that fits_head(), int8 weights; its float rows stay readable, but their
  /// pages go back to the system. The threads share the rows.
  void quantize_head(const Linear& head, const kernels::HeadKernels& kernels, ThreadPool& pool);

  [[nodiscard]] const std::deque<Linear>& linears() const noexcept { return linears_; }
  [[nodiscard]] std::uint64_t vector_bytes() const noexcept;

 private:
  /// A ternary matrix that was asked for and is not read yet.
  struct Pending {
    Linear* linear;
    const format::TensorInfo* tensor;
    const weights::TensorCodec* codec;
    bool packs = true;                      // false: an embedding, which is only checked
    std::optional<PackedType> packed = {};  // set when it is packed in the file; there is no codec then
  };

  const format::TensorInfo& require(const std::string& name, std::size_t rows, std::size_t cols);
  const format::TensorInfo* find(const std::string& name, std::size_t rows, std::size_t cols);
  [[nodiscard]] const weights::TensorCodec& codec_of(const format::TensorInfo& tensor) const;
  [[nodiscard]] std::vector<float> read_vector(const format::TensorInfo& tensor) const;
  [[nodiscard]] static DenseMatrix map_dense(const format::TensorInfo& tensor, const weights::TensorCodec& codec);
  [[noreturn]] void refuse_code(const format::TensorInfo& tensor, std::size_t row) const;
  void check_rows(const Pending& pending) const;
  [[nodiscard]] const Pending& pending_of(const Linear& linear) const;
  [[nodiscard]] PackedType plan_of(const Pending& pending, const kernels::TernaryLayout* layout) const;
  Linear& own(const Linear& linear);
  void read(const Pending& pending, const kernels::TernaryLayout& layout, std::span<std::uint8_t> memory) const;

  const format::Gguf& gguf_;
  const MappedFiles& files_;
  I2sLayout i2s_layout_;
  std::deque<Linear> linears_;              // addresses stay
  std::deque<std::vector<float>> vectors_;  // addresses stay
  std::vector<Pending> pending_;
  bool checks_embeddings_ = true;
  std::unordered_set<std::string_view, TextHash> used_;  // names of tensors that were asked for
  HugeBuffer arena_;        // all packed weights, in the order in which they were asked for
  HugeBuffer head_memory_;  // the int8 head, if there is one
};

}  // namespace tern::nn
