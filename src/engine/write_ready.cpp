#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/dispatch.h"
#include "src/base/check.h"
#include "src/base/checked_math.h"
#include "src/base/printable.h"
#include "src/base/thread_pool.h"
#include "src/engine/kernel_ready.h"
#include "src/engine/loaded_model.h"
#include "src/engine/model_source.h"
#include "src/format/gguf_writer.h"
#include "tern/kernel_ready.h"

namespace tern {
namespace {

using engine::LoadedModel;
using format::NewTensor;
using format::PutBytes;
using weights::ScaleKind;

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& numbers) {
  return std::as_bytes(std::span(numbers));
}

/// The last of a tensor, with zeros behind it. In one piece: checksums are of words.
void put_padded(const PutBytes& put, std::span<const std::byte> last, std::uint64_t n_bytes) {
  std::vector<std::byte> padded(static_cast<std::size_t>(n_bytes));
  std::copy(last.begin(), last.end(), padded.begin());
  put(padded);
}

const kernels::TernaryLayout& layout_for(const LoadedModel& model, const std::string& name) {
  if (name.empty()) return model.kernels.layout();
  if (const kernels::TernaryLayout* layout = nn::find_layout(name)) return *layout;
  std::vector<std::string_view> known;
  for (const kernels::TernaryKernel* kernel : kernels::all_ternary_kernels()) {
    if (std::ranges::find(known, kernel->layout->name) == known.end()) known.push_back(kernel->layout->name);
  }
  fail(ErrorKind::kInvalidArgument, "layout: expected one of {}, found '{}'", fmt::join(known, ", "), printable(name));
}

/// Puts together the tensors of a kernel-ready file, which the writer then asks for one by one.
class ReadyFile {
 public:
  ReadyFile(LoadedModel& model, const KernelReadyOptions& options)
      : model_(model), layout_(layout_for(model, options.layout)), pool_(options.open.threads) {
    make_keys();
    const auto packables = model.weights.packables();
    const nn::Linear* packed_head = nullptr;
    for (const format::TensorInfo& tensor : model.gguf.tensors) {
      const auto packed = std::ranges::find(packables, &tensor, &nn::WeightStore::Packable::tensor);
      const bool is_head = packed != packables.end() && packed->linear == &model.architecture->head();
      if (is_head) packed_head = packed->linear;
      packed != packables.end() && !is_head ? add_packed(tensor, tensor.name, *packed->linear) : add_as_it_is(tensor);
    }
    if (packed_head != nullptr) add_packed(like_head(), engine::kHeadTensor, *packed_head);
    if (model.int8_head) add_int8_head();
    add_checksums();
  }

  [[nodiscard]] bool write(const std::filesystem::path& out, const KernelReadyOptions& options) {
    return format::write_gguf(out, keys_, tensors_, {options.open.on_progress, options.keep_going});
  }

 private:
  void make_keys() {
    const auto& entries = model_.gguf.metadata.entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::string_view key = entries[i].first;
      if (key == "general.alignment" || key.starts_with("split.") || key.starts_with(engine::kReadyPrefix)) continue;
      keys_.add(key, entries[i].second, model_.gguf.metadata.stored_type(i));
    }
    keys_.add("general.alignment", std::uint64_t{engine::kReadyAlignment});
    keys_.add(engine::kVersionKey, std::uint64_t{engine::kReadyVersion});
    keys_.add(engine::kLayoutKey, std::string_view(layout_.name));
    keys_.add(engine::kI2sLayoutKey, std::uint64_t{model_.i2s_layout == I2sLayout::k64 ? 64u : 128u});
    keys_.add(engine::kSourceKey, engine::fingerprint(model_), format::ValueType::kU64);
  }

  /// A tensor in the shape of another one. Its checksum is noted while it is written.
  void add(const format::TensorInfo& like, std::string_view name, std::uint32_t type,
           std::function<void(const PutBytes&, std::uint64_t n_bytes)> produce) {
    NewTensor tensor{.name = name, .type = type, .dims = like.dims, .n_dims = like.n_dims, .bytes = 0};
    tensor.bytes = *nn::any_tensor_size(type, like.cols(), like.n_elements).bytes;
    const std::size_t i = tensors_.size();
    tensor.produce = [this, i, n_bytes = tensor.bytes, produce = std::move(produce)](const PutBytes& put) {
      WordHash hash;
      produce(
          [&](std::span<const std::byte> bytes) {
            hash.add(bytes);
            put(bytes);
          },
          n_bytes);
      checksums_[i + 1] = hash.value();
    };
    tensors_.push_back(std::move(tensor));
  }

  void add_as_it_is(const format::TensorInfo& tensor) {
    const auto produce = [this, &tensor](const PutBytes& put, std::uint64_t /*n_bytes*/) {
      for (std::size_t at = 0; at < tensor.data.size(); at += kPieceBytes) {
        const auto piece = tensor.data.subspan(at, std::min(kPieceBytes, tensor.data.size() - at));
        put(piece);
        model_.files.release(piece);
      }
    };
    add(tensor, tensor.name, tensor.type, produce);
  }

  void add_packed(const format::TensorInfo& like, std::string_view name, const nn::Linear& linear) {
    const auto produce = [this, &linear](const PutBytes& put, std::uint64_t n_bytes) {
      const nn::WeightStore::Packed packed = model_.weights.pack(linear, layout_, pool_);
      const weights::TernaryMatrix& matrix = packed.matrix;
      put(std::as_bytes(matrix.weights));
      const auto scales = matrix.kind == ScaleKind::kBlock ? bytes_of(matrix.block_scales) : bytes_of(matrix.scales);
      put_padded(put, scales, n_bytes - matrix.weights.size());
    };
    add(like, name, nn::type_number(model_.weights.plan(linear, layout_)), produce);
  }

  void add_int8_head() {
    const auto produce = [this](const PutBytes& put, std::uint64_t n_bytes) {
      model_.weights.quantize_head(model_.architecture->head(), *model_.kernels.head, pool_);
      const nn::HeadMatrix& head = *model_.architecture->head().int8;
      const auto rows = std::as_bytes(std::span(head.weights, head.rows * head.stride));
      put(rows);
      put_padded(put, std::as_bytes(std::span(head.scales, head.rows)), n_bytes - rows.size());
    };
    add(like_head(), engine::kHeadTensor, nn::kInt8HeadType, produce);
  }

  [[nodiscard]] format::TensorInfo like_head() const {
    const nn::Linear& head = model_.architecture->head();
    format::TensorInfo tensor;
    tensor.dims = {head.cols, head.rows, 1, 1};
    tensor.n_dims = 2;
    tensor.n_elements = std::uint64_t{head.rows} * head.cols;
    return tensor;
  }

  void add_checksums() {
    engine::DirectoryHash directory(keys_);
    std::uint64_t offset = 0;
    for (const NewTensor& tensor : tensors_) {
      format::TensorInfo info;
      info.name = tensor.name;
      info.type = tensor.type;
      info.n_dims = tensor.n_dims;
      info.dims = tensor.dims;
      directory.add(info, tensor.bytes, offset);
      offset += round_up(tensor.bytes, engine::kReadyAlignment);
    }
    checksums_.assign(tensors_.size() + 1, directory.value());
    tensors_.push_back({.name = engine::kChecksumsTensor,
                        .type = nn::kChecksumsType,
                        .dims = {checksums_.size(), 1, 1, 1},
                        .n_dims = 1,
                        .bytes = checksums_.size() * sizeof checksums_[0],
                        .produce = [this](const PutBytes& put) { put(bytes_of(checksums_)); }});
  }

  static constexpr std::size_t kPieceBytes = std::size_t{1} << 24;  // a multiple of a page

  LoadedModel& model_;
  const kernels::TernaryLayout& layout_;
  ThreadPool pool_;
  format::Metadata keys_{"the new file"};
  std::vector<NewTensor> tensors_;
  std::vector<std::uint64_t> checksums_;  // [0] of keys and directory, [1 + i] of tensor i
};

}  // namespace

bool write_kernel_ready(const std::filesystem::path& model, const std::filesystem::path& out,
                        const KernelReadyOptions& options) {
  return or_out_of_memory("this model", [&] {
    LoadedModel source(model, options.open);
    if (source.ready) fail(ErrorKind::kUnsupported, "{}: is kernel-ready already", model.string());
    return ReadyFile(source, options).write(out, options);
  });
}

bool is_kernel_ready(const std::filesystem::path& path) {
  return or_out_of_memory("the keys of this model", [&] {
    MappedFiles files;
    return engine::open_keys(path, files).metadata.contains(engine::kVersionKey);
  });
}

namespace {

void verify_checksums(const std::filesystem::path& path) {
  MappedFiles files;
  format::Gguf gguf = engine::open_source(path, files);
  const auto ready = engine::take_kernel_ready(gguf);
  if (!ready) fail(ErrorKind::kBadFile, "{}: expected a kernel-ready file, found another one", path.string());
  if (ready->head) gguf.tensors.push_back(*ready->head);
  for (std::size_t i = 0; i < gguf.tensors.size(); ++i) {
    const format::TensorInfo& tensor = gguf.tensors[i];
    WordHash hash;
    hash.add(tensor.data);
    if (hash.value() != ready->checksums[i]) {
      fail(ErrorKind::kBadFile, "{}: tensor {}: expected the checksum {:016x}, found {:016x}", path.string(),
           tensor.name, ready->checksums[i], hash.value());
    }
  }
}

}  // namespace

void verify_kernel_ready(const std::filesystem::path& path) {
  or_out_of_memory("this model", [&] { verify_checksums(path); });
}

}  // namespace tern
