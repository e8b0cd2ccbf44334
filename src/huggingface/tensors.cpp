#include "src/huggingface/tensors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "src/base/half.h"
#include "src/base/printable.h"
#include "src/base/text_hash.h"
#include "src/format/byte_reader.h"
#include "src/weights/codecs.h"

namespace tern::huggingface {
namespace {

struct Name {
  std::string_view here;
  std::string_view gguf;
};

// Without ".weight" or ".bias", and without the "model." that models without an output head may leave out.
constexpr Name kOuterNames[] = {{"embed_tokens", "token_embd"}, {"norm", "output_norm"}, {"lm_head", "output"}};

// After "layers.N.", and after "blk.N.".
constexpr Name kLayerNames[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.attn_sub_norm", "attn_sub_norm"},
    {"self_attn.inner_attn_ln", "attn_sub_norm"},  // 1bitLLM
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.ffn_sub_norm", "ffn_sub_norm"},
    {"mlp.ffn_layernorm", "ffn_sub_norm"},  // 1bitLLM
};

// Of Gemma, before those above.
constexpr Name kGemmaNames[] = {
    {"post_attention_layernorm", "post_attention_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
};

constexpr std::string_view kModelPrefix = "model.";
constexpr std::string_view kLayerPrefix = "layers.";
constexpr std::string_view kInputNorm = ".norm";  // after a projection's name: the norm of its input
constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kScaleSuffix = "_scale";
constexpr std::size_t kElementAlignment = 4;  // bytes; floats are read where they lie

std::optional<std::string_view> look_up(std::span<const Name> names, std::string_view name) {
  const auto found = std::find_if(names.begin(), names.end(), [&](const Name& known) { return known.here == name; });
  return found == names.end() ? std::nullopt : std::optional(found->gguf);
}

std::string_view without_model(std::string_view name) {
  return name.starts_with(kModelPrefix) ? name.substr(kModelPrefix.size()) : name;
}

/// GGUF's name of a module of a layer: "mlp.up_proj" is "ffn_up", and "mlp.up_proj.norm" is "ffn_up_norm_in".
std::optional<std::string> module_name(std::string_view module, bool gemma) {
  if (module.ends_with("_proj.norm")) {
    const auto projection = look_up(kLayerNames, module.substr(0, module.size() - kInputNorm.size()));
    return projection ? std::optional(fmt::format("{}_norm_in", *projection)) : std::nullopt;
  }
  auto name = gemma ? look_up(kGemmaNames, module) : std::nullopt;
  if (!name) name = look_up(kLayerNames, module);
  return name ? std::optional(std::string(*name)) : std::nullopt;
}

/// The name of a layer's tensor without its suffix: "3.mlp.up_proj" is "blk.3.ffn_up".
std::optional<std::string> layer_name(std::string_view name, bool gemma) {
  unsigned layer = 0;
  const auto number = std::from_chars(name.data(), name.data() + name.size(), layer);
  const auto digits = static_cast<std::size_t>(number.ptr - name.data());
  if (number.ec != std::errc() || digits == name.size() || name[digits] != '.') return std::nullopt;
  const auto rest = module_name(name.substr(digits + 1), gemma);
  return rest ? std::optional(fmt::format("blk.{}.{}", layer, *rest)) : std::nullopt;
}

/// GGUF's name, or the tensor's own where GGUF has none.
std::string gguf_name(std::string_view name, bool gemma) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::string(name);
  const std::string_view module = without_model(name.substr(0, dot));
  if (const auto outer = look_up(kOuterNames, module)) return fmt::format("{}{}", *outer, name.substr(dot));
  if (!module.starts_with(kLayerPrefix)) return std::string(name);
  const auto inner = layer_name(module.substr(kLayerPrefix.size()), gemma);
  return inner ? fmt::format("{}{}", *inner, name.substr(dot)) : std::string(name);
}

/// Whether a module, named from the model's root, is `listed` or lies within it.
bool is_listed(std::string_view module, const std::vector<std::string_view>& listed) {
  return std::any_of(listed.begin(), listed.end(), [&](std::string_view entry) {
    const std::size_t at = entry.empty() ? std::string_view::npos : module.find(entry);
    if (at == std::string_view::npos) return false;
    const bool begins = at == 0 || module[at - 1] == '.';
    const std::size_t end = at + entry.size();
    return begins && (end == module.size() || module[end] == '.');
  });
}

std::optional<std::uint32_t> float_type(Dtype dtype) {
  if (dtype == Dtype::kF32) return weights::kF32.gguf_type;
  if (dtype == Dtype::kF16) return weights::kF16.gguf_type;
  if (dtype == Dtype::kBf16) return weights::kBf16.gguf_type;
  return std::nullopt;
}

/// Turns the tensors of a checkpoint into those of `model`.
class TensorTranslator {
 public:
  TensorTranslator(std::span<const StoredTensor> tensors, const WeightsConfig& config, format::Gguf& model)
      : config_(config), form_(config.form), model_(model), source_(model.metadata.source()) {
    for (const StoredTensor& tensor : tensors) {
      by_name_.emplace(tensor.name, &tensor);
      // A norm before every projection is how masters are trained, be there a quantization_config or not.
      if (form_ == TernaryForm::kExact && tensor.name.ends_with("_proj.norm.weight")) form_ = TernaryForm::kMasters;
    }
  }

  void add(const StoredTensor& stored) {
    if (is_ignored(stored)) return;
    check_bias(stored);
    format::TensorInfo tensor;
    tensor.name = model_.arena.keep(gguf_name(stored.name, config_.gemma));
    tensor.data = stored.data;
    set_shape(stored, tensor);
    if (is_ternary(stored.name)) {
      make_ternary(stored, tensor);
    } else {
      make_float(stored, tensor);
    }
    model_.add(std::move(tensor), source_);
  }

 private:
  [[nodiscard]] bool is_ignored(const StoredTensor& stored) const {
    if (stored.name.ends_with(".rotary_emb.inv_freq")) return true;  // follows from config.json
    if (stored.name == "lm_head.weight" && config_.head == WeightsConfig::Head::kTied) return true;
    // A scale belongs to the packed weights beside it.
    if (!stored.name.ends_with(kScaleSuffix)) return false;
    const auto owner = by_name_.find(stored.name.substr(0, stored.name.size() - kScaleSuffix.size()));
    return owner != by_name_.end() && owner->second->dtype == Dtype::kU8;
  }

  [[nodiscard]] bool is_ternary(std::string_view name) const {
    if (!without_model(name).starts_with(kLayerPrefix) || !name.ends_with("_proj.weight")) return false;
    return !is_listed(name.substr(0, name.size() - kWeight.size()), config_.float_modules);
  }

  template <typename... Args>
  [[noreturn]] void refuse(const StoredTensor& stored, ErrorKind kind, fmt::format_string<Args...> format,
                           Args&&... args) const {
    fail(kind, "{}: tensor {}: {}", source_, printable(stored.name), fmt::format(format, std::forward<Args>(args)...));
  }

  /// A bias that config.json does not announce is none of the model's; one of rows that are reordered is never
  /// announced.
  void check_bias(const StoredTensor& stored) const {
    if (!stored.name.ends_with("_proj.bias")) return;
    const bool of_attention = stored.name.find(".self_attn.") != std::string_view::npos;
    if (of_attention ? config_.attention_bias : config_.mlp_bias) return;
    refuse(stored, ErrorKind::kUnsupported, "expected none, or {} in config.json, found it",
           of_attention ? "attention_bias" : "mlp_bias");
  }

  /// Shapes are the other way round in GGUF.
  void set_shape(const StoredTensor& stored, format::TensorInfo& tensor) const {
    if (stored.shape.size() > tensor.dims.size() || stored.n_elements == 0) {
      refuse(stored, ErrorKind::kUnsupported, "expected 1 to 4 dimensions and an element, found {} and {}",
             stored.shape.size(), stored.n_elements);
    }
    std::copy(stored.shape.rbegin(), stored.shape.rend(), tensor.dims.begin());
    tensor.n_dims = static_cast<std::uint32_t>(std::max<std::size_t>(stored.shape.size(), 1));
    tensor.n_elements = stored.n_elements;
  }

  void make_float(const StoredTensor& stored, format::TensorInfo& tensor) {
    const auto type = float_type(stored.dtype);
    if (!type) {
      refuse(stored, ErrorKind::kUnsupported, "expected dtype F32, F16 or BF16, found {}", to_string(stored.dtype));
    }
    tensor.type = *type;
    if (config_.gemma && stored.name.ends_with("norm.weight") && !stored.name.ends_with("_proj.norm.weight")) {
      return add_one(stored, tensor);
    }
    const std::size_t rotary = rotary_dim(stored.name);
    if (rotary == 0 && reinterpret_cast<std::uintptr_t>(stored.data.data()) % kElementAlignment == 0) return;
    if (rotary != 0) check_heads(stored, tensor, rotary);
    const std::span<std::byte> copy = model_.arena.bytes(stored.data.size());
    const std::size_t row_bytes = stored.data.size() / static_cast<std::size_t>(tensor.rows());
    for (std::size_t row = 0; row < tensor.rows(); ++row) {
      std::memcpy(copy.data() + row * row_bytes, stored.data.data() + stored_row(row, rotary) * row_bytes, row_bytes);
    }
    tensor.data = copy;
  }

  /// Gemma multiplies by 1 + w, and so stores GGUF it.
  void add_one(const StoredTensor& stored, format::TensorInfo& tensor) {
    std::vector<float> values(static_cast<std::size_t>(stored.n_elements));
    weights::find_codec(tensor.type)->decode_row(stored.data.data(), values.size(), values.data());
    for (float& value : values) value += 1.0f;
    const std::span<std::byte> copy = model_.arena.bytes(values.size() * sizeof(float));
    std::memcpy(copy.data(), values.data(), copy.size());
    tensor.data = copy;
    tensor.type = weights::kF32.gguf_type;
  }

  void check_heads(const StoredTensor& stored, const format::TensorInfo& tensor, std::size_t rotary) const {
    if (rotary % 2 == 0 && tensor.rows() % rotary == 0 && tensor.n_dims == 2) return;
    refuse(stored, ErrorKind::kBadFile, "expected heads of {} rows, in pairs, found {} rows", rotary, tensor.rows());
  }

  void make_ternary(const StoredTensor& stored, format::TensorInfo& tensor) {
    TernarySource source{form_, stored.dtype, 1.0f, rotary_dim(stored.name), 0, source_};
    if (stored.shape.size() != 2) {
      refuse(stored, ErrorKind::kBadFile, "expected 2 dimensions, found {}", stored.shape.size());
    }
    if (stored.dtype == Dtype::kU8 && form_ == TernaryForm::kPacked) {
      tensor.dims[1] *= 4;  // rows; the product with 4 cannot overflow, the bytes are there
      tensor.n_elements *= 4;
      source.scale = read_scale(stored);
      tensor.stored_as = "packed U8";
    } else if (float_type(stored.dtype) && form_ != TernaryForm::kPacked) {
      const std::string_view what = form_ == TernaryForm::kMasters ? "masters" : "ternary";
      tensor.stored_as = model_.arena.keep(fmt::format("{} {}", what, to_string(stored.dtype)));
      if (form_ == TernaryForm::kExact) source.group = find_group(tensor, stored.dtype);
    } else {
      refuse(stored, ErrorKind::kUnsupported, "expected dtype {}, as config.json says, found {}",
             form_ == TernaryForm::kPacked ? "U8" : "F32, F16 or BF16", to_string(stored.dtype));
    }
    if (tensor.n_elements % kConvertedUnit != 0) {
      refuse(stored, ErrorKind::kUnsupported, "expected a multiple of {} weights, found {}", kConvertedUnit,
             tensor.n_elements);
    }
    if (source.rotary_dim != 0) check_heads(stored, tensor, source.rotary_dim);
    tensor.type = converted_type(source.group);
    tensor.convert = std::move(source);
  }

  [[nodiscard]] std::size_t rotary_dim(std::string_view name) const {
    return name.ends_with(".q_proj.weight") || name.ends_with(".k_proj.weight") ? config_.rotary_dim : 0;
  }

  /// What the codes of packed weights are multiplied with.
  [[nodiscard]] float read_scale(const StoredTensor& stored) const {
    const auto found = by_name_.find(std::string(stored.name) + std::string(kScaleSuffix));
    if (found == by_name_.end()) refuse(stored, ErrorKind::kBadFile, "expected a scale beside it, found none");
    const StoredTensor& scale = *found->second;
    const auto type = float_type(scale.dtype);
    if (!type || scale.n_elements != 1) {
      refuse(scale, ErrorKind::kBadFile, "expected one number in F32, F16 or BF16, found {} in {}", scale.n_elements,
             to_string(scale.dtype));
    }
    float value = 0;
    weights::find_codec(*type)->decode_row(scale.data.data(), 1, &value);
    const float multiplier = config_.divides_by_scale ? 1.0f / value : value;
    if (!std::isfinite(multiplier) || !(multiplier > 0.0f)) {
      refuse(scale, ErrorKind::kBadFile, "expected a finite number above 0, found {}", value);
    }
    return multiplier;
  }

  const WeightsConfig& config_;
  TernaryForm form_;
  format::Gguf& model_;
  const std::string& source_;
  std::unordered_map<std::string_view, const StoredTensor*, TextHash> by_name_;
};

}  // namespace

void add_tensors(std::span<const StoredTensor> tensors, const WeightsConfig& config, format::Gguf& model) {
  TensorTranslator translator(tensors, config, model);
  for (const StoredTensor& tensor : tensors) translator.add(tensor);
  if (config.head == WeightsConfig::Head::kOwn && model.find("output.weight") == nullptr) {
    fail(ErrorKind::kBadFile, "{}: tensor lm_head.weight is missing, and tie_word_embeddings is false",
         model.metadata.source());
  }
}

}  // namespace tern::huggingface
