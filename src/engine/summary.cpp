#include <set>

#include <fmt/ranges.h>

#include "src/engine/chat_template.h"
#include "src/engine/loaded_model.h"
#include "src/weights/codec.h"

namespace tern::engine {
namespace {

bool is_ternary_layer(const LoadedModel& model, const format::TensorInfo& tensor) {
  const weights::TensorCodec* codec = weights::find_codec(tensor.type);  // none: packed
  return (codec == nullptr || codec->is_ternary()) &&
         tensor.data.data() != model.architecture->embedding().dense.data &&
         tensor.data.data() != model.architecture->head().dense.data;
}

std::string_view type_name(const format::TensorInfo& tensor) {
  if (tensor.convert) return tensor.stored_as;
  if (const auto packed = nn::find_packed_type(tensor.type)) return packed->layout->name;
  return weights::find_codec(tensor.type)->name;
}

std::vector<TensorSummary> list_tensors(const LoadedModel& model) {
  std::vector<TensorSummary> list;
  for (const format::TensorInfo& tensor : model.gguf.tensors) {
    TensorSummary summary;
    summary.name = std::string(tensor.name);
    summary.type = std::string(type_name(tensor));
    for (std::uint32_t d = tensor.n_dims; d > 0; --d) summary.shape.push_back(tensor.dims[d - 1]);
    summary.file_bytes = tensor.data.size();
    summary.ternary = is_ternary_layer(model, tensor);
    list.push_back(std::move(summary));
  }
  return list;
}

std::string scale_name(const nn::Linear& linear) {
  const weights::TernaryMatrix& matrix = *linear.ternary;
  switch (matrix.kind) {
    case weights::ScaleKind::kTensor:
      return "tensor";
    case weights::ScaleKind::kRow:
      return "row";
    case weights::ScaleKind::kBlock:
      return fmt::format("block {}", matrix.block_cols);
  }
  return "";
}

/// "tensor", "row", "block 256", or several of them; empty before the weights are loaded.
std::string scale_names(const nn::WeightStore& weights) {
  std::set<std::string> names;
  for (const nn::Linear& linear : weights.linears()) {
    if (linear.ternary) names.insert(scale_name(linear));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

void describe_file(const LoadedModel& model, ModelSummary& s) {
  const format::Metadata& metadata = model.gguf.metadata;
  s.path = model.path;
  s.architecture = std::string(metadata.string("general.architecture").value_or(""));
  s.name = std::string(metadata.string("general.name").value_or(""));
  s.license = std::string(metadata.string("general.license").value_or(""));
  s.file_bytes = model.files.bytes();
  s.tensors = list_tensors(model);
  for (const format::TensorInfo& tensor : model.gguf.tensors) {
    s.n_parameters += tensor.n_elements;
    if (is_ternary_layer(model, tensor)) s.n_ternary_weights += tensor.n_elements;
  }
}

void describe_shape(const LoadedModel& model, ModelSummary& s) {
  const architectures::Config& c = model.architecture->config();
  s.n_layers = c.n_layers;
  s.dim = c.dim;
  s.ffn_dim = c.ffn_dim;
  s.n_heads = c.n_heads;
  s.n_kv_heads = c.n_kv_heads;
  s.head_dim = c.head_dim;
  s.vocab_size = c.vocab_size;
  s.context_length = c.context_length;
  s.tied_embeddings = &model.architecture->head() == &model.architecture->embedding();
  s.embedding_only = model.is_embedding_only();
  s.kv_bytes_per_token_f16 = std::uint64_t{2} * 2 * c.n_layers * c.n_kv_heads * c.head_dim;
}

void describe_memory(const LoadedModel& model, ModelSummary& s) {
  const nn::Linear& head = model.architecture->head();
  const nn::Linear& embedding = model.architecture->embedding();
  const std::uint64_t packed_head = model.weights.packed_bytes(model.kernels.layout(), head);
  s.ternary_bytes = model.weights.packed_bytes(model.kernels.layout()) - packed_head;
  s.float_bytes = model.weights.vector_bytes();
  for (const nn::Linear& linear : model.weights.linears()) {
    if (linear.dense.codec != nullptr && &linear != &head && &linear != &embedding) {
      s.float_bytes += linear.dense.bytes();
    }
  }
  s.head_bytes = model.int8_head ? nn::head_bytes(head.rows, head.cols) : head.dense.bytes();
  if (packed_head > 0) s.head_bytes = packed_head;
  if (s.embedding_only) s.head_bytes = 0;
  if (model.int8_head || packed_head > 0 || !s.tied_embeddings || s.embedding_only)
    s.embedding_bytes = embedding.dense.bytes();
  s.bytes_read_per_token = s.ternary_bytes + s.float_bytes + s.head_bytes;
  s.scale_cols = model.scale_cols;
  s.ternary_scales = scale_names(model.weights);
}

void describe_kernels(const LoadedModel& model, ModelSummary& s) {
  s.decode_kernel = model.kernels.step_for(1).kernel->name;
  s.prompt_kernel = model.kernels.steps.back().kernel->name;
  for (const kernels::Choice::Step& step : model.kernels.steps) {
    const bool decode = step.routine == &step.kernel->decode;
    s.kernel_steps.push_back({step.min_tokens, step.kernel->name, decode ? "decode" : "prompt"});
  }
  s.float_kernel = model.kernels.floats->name;
  s.head_type = model.int8_head ? "int8" : std::string(model.architecture->head().dense.codec->name);
  if (s.embedding_only) s.head_type = "none";
  s.head_kernel = model.int8_head ? model.kernels.head->name : s.float_kernel;
  if (model.weights.packed_bytes(model.kernels.layout(), model.architecture->head()) > 0) {
    s.head_kernel = s.decode_kernel;
  }
  if (!model.kernels.note.empty()) s.notes.push_back(model.kernels.note);
  if (model.ready && !model.ready->head && s.head_type == "int8") {
    s.notes.emplace_back("the file has no int8 head: it is made at every start");
  }
}

}  // namespace

ModelSummary summarize(const LoadedModel& model) {
  ModelSummary s;
  describe_file(model, s);
  describe_shape(model, s);
  describe_memory(model, s);
  describe_kernels(model, s);
  const auto chat_template = find_chat_template(model.gguf.metadata);
  if (chat_template && !chat_template->note.empty()) s.notes.push_back(chat_template->note);
  if (model.tokenizer) {
    const std::vector<std::string>& notes = model.tokenizer->notes();
    s.notes.insert(s.notes.end(), notes.begin(), notes.end());
  }
  return s;
}

}  // namespace tern::engine
