#include "src/engine/convert_gguf.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <vector>

#include "src/base/check.h"
#include "src/base/half.h"
#include "src/base/printable.h"
#include "src/engine/convert_keys.h"
#include "src/engine/convert_tensor.h"
#include "src/weights/codecs.h"
#include "src/weights/ternary_matrix.h"

namespace tern::engine {
namespace {

constexpr std::string_view kEmbedding = "token_embd.weight";
constexpr std::string_view kHead = "output.weight";
constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kScale = ".scale";
/// Of this architecture every engine reads a scale that stands beside a layer's weights.
constexpr std::string_view kReadsScales = "bitnet";

/// Names of types whose blocks divide rows of so many columns.
std::string fitting_types(std::size_t cols, bool ternary) {
  std::string names = "keep";
  const auto add = [&](std::string_view name, const weights::TensorCodec& codec) {
    if (cols % codec.block_elements == 0) names += fmt::format(", {}", name);
  };
  if (ternary) {
    for (const ConvertTarget& target : convert_targets()) {
      if (target.codec != nullptr) add(target.name, *target.codec);
    }
  } else {
    for (const std::string& name : convert_float_types()) {
      if (const auto* codec = find_float_type(name)) add(name, *codec);
    }
  }
  return names;
}

/// Turns the tensors of a source into those of a file, and writes it.
class GgufConverter {
 public:
  explicit GgufConverter(const Conversion& conversion)
      : job_(conversion),
        file_(conversion.source.metadata.source()),
        reads_scales_(conversion.source.metadata.string("general.architecture") == kReadsScales),
        metadata_(file_) {
    if (job_.options.head != "keep" && job_.source.find(kHead) == nullptr) {
      fail(ErrorKind::kInvalidArgument,
           "{}: has no head of its own, its embedding is the head as well: name the type of the embedding instead",
           file_);
    }
    for (const format::TensorInfo& tensor : job_.source.tensors) plan(tensor);
    if (job_.target.codec != nullptr && n_layers_ == 0) {
      fail(ErrorKind::kInvalidArgument, "{}: has no ternary layers to write as {}", file_, job_.target.codec->name);
    }
    metadata_ = make_keys(job_.source, new_file_type(), arena_);
  }

  std::optional<ConvertSummary> run() {
    const format::WriteHooks hooks{job_.options.on_progress, job_.options.keep_going};
    if (!format::write_gguf(job_.output, metadata_, tensors_, hooks)) return std::nullopt;
    count_types();
    summary_.source_bytes = job_.files.bytes();
    std::error_code error;
    summary_.bytes = std::filesystem::file_size(job_.output, error);
    if (error) fail(ErrorKind::kIo, "{}: {}", job_.output.string(), error.message());
    return summary_;
  }

 private:
  // --- tensors ------------------------------------------------------------------------------------------------
  void plan(const format::TensorInfo& tensor) {
    const weights::TensorCodec& codec = source_codec(tensor);
    if (tensor.name == kEmbedding) return plan_floats(tensor, find_float_type(job_.options.embedding));
    if (tensor.name == kHead) return plan_floats(tensor, find_float_type(job_.options.head));
    if (codec.is_ternary()) return plan_layer(tensor, codec);
    if (is_taken_over(tensor)) return;
    // Other engines read norms in F32 only.
    plan_floats(tensor, tensor.n_dims == 1 ? &weights::kF32 : nullptr);
  }

  void plan_floats(const format::TensorInfo& tensor, const weights::TensorCodec* type) {
    const SourceTensor source = source_of(tensor);
    if (type == nullptr || type == source.codec) return plan_copy(tensor);
    require_whole_blocks(tensor, *type);
    add(tensor, *type, [=, this](const format::PutBytes& put) { put_floats(source, *type, job_.pool, put); });
  }

  void plan_copy(const format::TensorInfo& tensor) {
    const SourceTensor source = source_of(tensor);
    add(tensor, *weights::find_codec(tensor.type), [=](const format::PutBytes& put) { put_copy(source, put); });
  }

  void plan_layer(const format::TensorInfo& tensor, const weights::TensorCodec& codec) {
    ++n_layers_;
    // Kept as a reader takes its type to be, who is not told of another layout.
    const weights::TensorCodec* type = job_.target.codec ? job_.target.codec : weights::find_codec(tensor.type);
    if (type == &codec) return plan_copy(tensor);
    require_whole_blocks(tensor, *type);
    ScaleTransfer& transfer = transfers_.emplace_back();
    if (takes_scale_over(codec)) transfer.factor = read_scale(tensor);
    if (needs_scale_beside(tensor, codec, transfer.factor)) {
      transfer.separate = &separate_scales_.emplace_back(0.0f);
    }
    const SourceTensor source = source_of(tensor);
    add(tensor, *type, [=, this, &transfer](const format::PutBytes& put) {
      note_error(*source.info, put_ternary(source, *type, transfer, job_.pool, put));
    });
    if (transfer.separate != nullptr) add_scale(tensor, *transfer.separate);
  }

  /// A tensor NAME.scale of one number, which is known when NAME.weight was written.
  void add_scale(const format::TensorInfo& weight, const float& scale) {
    format::TensorInfo info;
    info.name = names_.emplace_back(scale_name(weight));
    info.n_dims = 1;
    info.n_elements = 1;
    add(info, weights::kF32, [&scale](const format::PutBytes& put) { put(std::as_bytes(std::span(&scale, 1))); });
    ++summary_.n_scale_tensors;
  }

  void add(const format::TensorInfo& tensor, const weights::TensorCodec& type,
           std::function<void(const format::PutBytes&)> produce) {
    const std::uint64_t bytes = *weights::tensor_size(type.gguf_type, tensor.cols(), tensor.n_elements).bytes;
    tensors_.push_back({tensor.name, type.gguf_type, tensor.dims, tensor.n_dims, bytes, std::move(produce)});
  }

  [[nodiscard]] const weights::TensorCodec& source_codec(const format::TensorInfo& tensor) const {
    return weights::codec_of(tensor, job_.options.i2s_layout == I2sLayout::k64);
  }
  [[nodiscard]] SourceTensor source_of(const format::TensorInfo& tensor) const {
    return {&tensor, &source_codec(tensor), &file_, &job_.files};
  }

  void require_whole_blocks(const format::TensorInfo& tensor, const weights::TensorCodec& type) const {
    if (tensor.cols() % type.block_elements == 0) return;
    fail(ErrorKind::kInvalidArgument,
         "{}: tensor {}: expected a multiple of {} columns for {}, found {}; what fits: {}", file_,
         printable(tensor.name), type.block_elements, type.name, tensor.cols(),
         fitting_types(static_cast<std::size_t>(tensor.cols()), type.is_ternary()));
  }

  void note_error(const format::TensorInfo& tensor, double error) {
    if (error <= summary_.largest_scale_error) return;
    summary_.largest_scale_error = error;
    summary_.least_exact_tensor = tensor.name;
  }

  // --- scales that stand beside the weights -------------------------------------------------------------------
  [[nodiscard]] static std::string scale_name(const format::TensorInfo& weight) {
    return std::string(weight.name.substr(0, weight.name.size() - kWeight.size())) + std::string(kScale);
  }

  /// Whether NAME.scale of the source goes into the scales of the new type: wherever that loses less than a rounding.
  /// Blocks keep their own.
  [[nodiscard]] bool takes_scale_over(const weights::TensorCodec& codec) const {
    const bool has_one = codec.scale_elements == 0 || codec.scale_elements == weights::kScalePerRow;
    return has_one || job_.target.codec->scale_elements == 0;
  }
  /// Whether this is a NAME.scale that another tensor takes over.
  [[nodiscard]] bool is_taken_over(const format::TensorInfo& tensor) const {
    if (!tensor.name.ends_with(kScale) || job_.target.codec == nullptr) return false;
    const std::string_view base = tensor.name.substr(0, tensor.name.size() - kScale.size());
    const format::TensorInfo* weight = job_.source.find(std::string(base) + std::string(kWeight));
    if (weight == nullptr) return false;
    const weights::TensorCodec& codec = source_codec(*weight);
    return codec.is_ternary() && &codec != job_.target.codec && takes_scale_over(codec);
  }
  [[nodiscard]] float read_scale(const format::TensorInfo& weight) const {
    const format::TensorInfo* tensor = job_.source.find(scale_name(weight));
    if (tensor == nullptr) return 1.0f;
    const weights::TensorCodec& codec = source_codec(*tensor);
    float scale = 0.0f;
    if (!codec.is_ternary() && tensor->n_elements == 1) codec.decode_row(tensor->data.data(), 1, &scale);
    if (!std::isfinite(scale) || !(scale > 0)) {
      fail(ErrorKind::kBadFile, "{}: tensor {}: expected one finite number above 0", file_, printable(tensor->name));
    }
    return scale;
  }
  /// Whether the blocks of the new type would have to round a scale that can stand beside them.  factor: of NAME.scale
  [[nodiscard]] bool needs_scale_beside(const format::TensorInfo& tensor, const weights::TensorCodec& codec,
                                        float factor) const {
    if (!reads_scales_ || job_.target.codec->scale_elements == 0) return false;
    if (codec.scale_elements != 0 && codec.scale_elements != weights::kScalePerRow) return false;
    if (tensor.convert) return true;  // it is known when the weights are
    const weights::ScalePlan plan = weights::plan_scales(file_, tensor, codec);
    const float scale = plan.scales[0] * factor;
    return plan.kind == weights::ScaleKind::kTensor && f16_to_f32(f32_to_f16(scale)) != scale;
  }

  // --- keys ---------------------------------------------------------------------------------------------------
  /// Nothing: as in the source.
  [[nodiscard]] std::optional<std::uint64_t> new_file_type() const {
    if (job_.target.codec != nullptr) return job_.target.file_type;
    if (job_.source.metadata.contains("general.file_type")) return std::nullopt;
    for (const ConvertTarget& target : convert_targets()) {
      const bool holds = target.codec != nullptr && std::ranges::any_of(tensors_, [&](const format::NewTensor& tensor) {
                           return tensor.type == target.codec->gguf_type;
                         });
      if (holds) return target.file_type;
    }
    return std::nullopt;
  }

  // --- what was done ------------------------------------------------------------------------------------------
  void count_types() {
    for (const format::NewTensor& tensor : tensors_) {
      const weights::TensorCodec& codec = *weights::find_codec(tensor.type);
      count_tensor(codec.name, tensor.bytes, summary_);
      const format::TensorInfo* before = job_.source.find(tensor.name);
      const bool same = before == nullptr || (before->type == tensor.type && !before->convert);
      summary_.n_converted += same ? 0 : 1;
    }
  }

  const Conversion& job_;
  const std::string& file_;
  bool reads_scales_;
  Arena arena_;  // of what the keys view into and the source does not have
  format::Metadata metadata_;
  std::vector<format::NewTensor> tensors_;
  std::size_t n_layers_ = 0;
  // Addresses stay: tensors_ refers to them.
  std::deque<ScaleTransfer> transfers_;
  std::deque<float> separate_scales_;
  std::deque<std::string> names_;
  ConvertSummary summary_;
};

}  // namespace

std::optional<ConvertSummary> convert_to_gguf(const Conversion& conversion) { return GgufConverter(conversion).run(); }

}  // namespace tern::engine
