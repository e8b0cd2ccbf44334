#include "src/huggingface/config.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <optional>
#include <span>

#include "src/weights/codecs.h"

namespace tern::huggingface {
namespace {

constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 31;

/// A class of models and what it is to the engine.
struct ModelClass {
  std::string_view name;          // in config.json's `architectures`
  std::string_view architecture;  // general.architecture
  bool pairs_neighbours;          // by RoPE, in the engine; the files always pair halves
  bool quantizes_masters;         // without a quantization_config
  bool any_activation;            // whatever the engine finds in {a}.hidden_act; else SiLU
};

constexpr ModelClass kClasses[] = {
    {"BitNetForCausalLM", "bitnet-b1.58", false, false, true},
    {"BitnetForCausalLM", "bitnet", false, true, true},  // of 1bitLLM, with its own code
    {"LlamaForCausalLM", "llama", true, false, false},
    {"Qwen3ForCausalLM", "qwen3", false, false, false},
};

const ModelClass& find_class(const Field& config) {
  const Field names = config["architectures"];
  for (std::size_t i = 0; i < names.elements().size(); ++i) {
    const auto name = names.at(i).text();
    for (const ModelClass& known : kClasses) {
      if (known.name == name) return known;
    }
  }
  std::string known;
  for (const ModelClass& each : kClasses) known += fmt::format("{}{}", known.empty() ? "" : ", ", each.name);
  const Field found = names.elements().empty() ? names : names.at(0);
  found.refuse(ErrorKind::kUnsupported, "one of " + known);
}

/// Adds keys "ARCHITECTURE.key".
class Keys {
 public:
  Keys(format::Gguf& model, std::string_view architecture) : model_(model), prefix_(std::string(architecture) + ".") {}

  void add(std::string_view key, format::Value value) {
    // A GGUF file of the model has 32 bits for it.
    if (auto* number = std::get_if<double>(&value)) *number = static_cast<double>(static_cast<float>(*number));
    model_.metadata.add(model_.arena.keep(prefix_ + std::string(key)), std::move(value));
  }
  /// An integer of config.json, which has to be there when it is `required`.
  void copy_count(std::string_view key, const Field& field, bool required) {
    const auto value = field.natural(kMaxSize);
    if (!value && required) field.refuse(ErrorKind::kBadFile, "an integer");
    if (value) add(key, *value);
  }

 private:
  format::Gguf& model_;
  std::string prefix_;
};

/// Refuses a flag or a number that would change the result and that is not what the engine computes.
void refuse_if_set(const Field& field) {
  const bool on = field.is(Json::Kind::kBool) ? *field.flag() : field.exists();
  if (on) field.refuse(ErrorKind::kUnsupported, "none or false");
}

void translate_shape(const Field& config, const ModelClass& model_class, Keys& keys) {
  keys.copy_count("embedding_length", config["hidden_size"], true);
  keys.copy_count("feed_forward_length", config["intermediate_size"], true);
  keys.copy_count("block_count", config["num_hidden_layers"], true);
  keys.copy_count("attention.head_count", config["num_attention_heads"], true);
  keys.copy_count("attention.head_count_kv", config["num_key_value_heads"], false);
  keys.copy_count("attention.key_length", config["head_dim"], false);
  keys.copy_count("context_length", config["max_position_embeddings"], true);
  const auto eps = config["rms_norm_eps"].number();
  if (!eps) config["rms_norm_eps"].refuse(ErrorKind::kBadFile, "a number");
  keys.add("attention.layer_norm_rms_epsilon", *eps);

  const Field activation = config["hidden_act"];
  if (model_class.any_activation) {
    if (activation.exists()) keys.add("hidden_act", *activation.text());
  } else if (activation.exists() && activation.text() != "silu") {
    activation.refuse(ErrorKind::kUnsupported, "'silu'");
  }
  refuse_if_set(config["use_sliding_window"]);
  if (model_class.pairs_neighbours) refuse_if_set(config["attention_bias"]);  // it would have to be reordered too
}

// --- RoPE -----------------------------------------------------------------------------------------------------

/// Elements of a head.
std::size_t head_dim_of(const Field& config) {
  const auto explicit_dim = config["head_dim"].natural(kMaxSize);
  const std::uint64_t heads = std::max<std::uint64_t>(config["num_attention_heads"].natural(kMaxSize).value_or(1), 1);
  return static_cast<std::size_t>(explicit_dim.value_or(config["hidden_size"].natural(kMaxSize).value_or(0) / heads));
}

double positive(const Field& field, double otherwise) {
  const double value = field.number().value_or(otherwise);
  if (!(value > 0.0)) field.refuse(ErrorKind::kBadFile, "a number above 0");
  return value;
}

/// Llama 3's scaling as divisors of the frequencies: 1 for short waves, `factor` for long ones, between them a ramp.
/// Source    Llama 3.1's reference code, apply_scaling()
void add_llama3_factors(const Field& scaling, double theta, std::size_t n_dims, format::Gguf& model) {
  constexpr std::size_t kMaxDims = 4096;
  if (n_dims < 2 || n_dims > kMaxDims) scaling.refuse(ErrorKind::kBadFile, "heads of 2 to 4096 elements to scale");
  const double factor = positive(scaling["factor"], 8.0);
  const double low = positive(scaling["low_freq_factor"], 1.0);
  const double high = positive(scaling["high_freq_factor"], 4.0);
  const double original = positive(scaling["original_max_position_embeddings"], 8192.0);
  if (!(low < high)) scaling["high_freq_factor"].refuse(ErrorKind::kBadFile, "a number above low_freq_factor");
  const std::span<std::byte> bytes = model.arena.bytes(n_dims / 2 * sizeof(float));
  for (std::size_t i = 0; i < n_dims / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(n_dims);
    const double wave = 2.0 * std::numbers::pi * std::pow(theta, exponent);  // positions
    const double ramp = std::clamp((original / wave - low) / (high - low), 0.0, 1.0);
    const auto divisor = static_cast<float>(1.0 / ((1.0 - ramp) / factor + ramp));
    std::memcpy(bytes.data() + i * sizeof divisor, &divisor, sizeof divisor);
  }
  format::TensorInfo tensor;
  tensor.name = "rope_freqs.weight";
  tensor.type = weights::kF32.gguf_type;
  tensor.dims[0] = tensor.n_elements = n_dims / 2;
  tensor.n_dims = 1;
  tensor.data = bytes;
  model.add(std::move(tensor), model.metadata.source());
}

void translate_yarn(const Field& scaling, Keys& keys) {
  const double factor = positive(scaling["factor"], 1.0);
  keys.add("rope.scaling.type", std::string_view("yarn"));
  keys.add("rope.scaling.factor", factor);
  keys.copy_count("rope.scaling.original_context_length", scaling["original_max_position_embeddings"], false);
  if (const Field attention = scaling["attention_factor"]; attention.exists()) {
    // GGUF's factor multiplies what the scaling itself implies.
    keys.add("rope.scaling.attn_factor", positive(attention, 1.0) / (1.0 + 0.1 * std::log(factor)));
  }
  const auto check = [](const Field& field, double expected) {
    if (field.exists() && field.number() != expected) {
      field.refuse(ErrorKind::kUnsupported, fmt::format("{}", expected));
    }
  };
  check(scaling["beta_fast"], 32.0);
  check(scaling["beta_slow"], 1.0);
  refuse_if_set(scaling["mscale"]);
}

void translate_rope(const Field& config, std::size_t n_dims, Keys& keys, format::Gguf& model) {
  const Field parameters = config["rope_parameters"];  // newer files keep everything about RoPE there
  const Field scaling = parameters.exists() ? parameters : config["rope_scaling"];
  const Field theta = parameters["rope_theta"].exists() ? parameters["rope_theta"] : config["rope_theta"];
  const double base = positive(theta, 10000.0);
  keys.add("rope.freq_base", base);
  const Field type = scaling["rope_type"].exists() ? scaling["rope_type"] : scaling["type"];
  const std::string_view name = type.text().value_or("default");
  if (const Field partial = config["partial_rotary_factor"]; partial.exists() && partial.number() != 1.0) {
    partial.refuse(ErrorKind::kUnsupported, "1");
  }
  if (name == "linear") {
    keys.add("rope.scaling.type", name);
    keys.add("rope.scaling.factor", positive(scaling["factor"], 1.0));
  } else if (name == "yarn") {
    translate_yarn(scaling, keys);
  } else if (name == "llama3") {
    add_llama3_factors(scaling, base, n_dims, model);
  } else if (name != "default") {
    type.refuse(ErrorKind::kUnsupported, "one of default, linear, yarn, llama3");
  }
}

// --- quantization ---------------------------------------------------------------------------------------------

/// Source    Hugging Face's BitNetQuantConfig and its linear classes: BitLinear stores 1 / scale, AutoBitLinear scale
void translate_quantization(const Field& quantization, WeightsConfig& weights) {
  if (quantization["quant_method"].text() != "bitnet") {
    quantization["quant_method"].refuse(ErrorKind::kUnsupported, "'bitnet'");
  }
  const Field linear_class = quantization["linear_class"];
  const std::string_view name = linear_class.text().value_or("bitlinear");
  if (name != "bitlinear" && name != "autobitlinear") {
    linear_class.refuse(ErrorKind::kUnsupported, "'bitlinear' or 'autobitlinear'");
  }
  const Field mode = quantization["quantization_mode"];
  const std::string_view when = mode.text().value_or("offline");
  if (when != "offline" && when != "online") mode.refuse(ErrorKind::kUnsupported, "'offline' or 'online'");
  if (when == "online" && name == "bitlinear") linear_class.refuse(ErrorKind::kUnsupported, "'autobitlinear' online");
  refuse_if_set(quantization["use_rms_norm"]);
  weights.form = when == "online" ? TernaryForm::kMasters : TernaryForm::kPacked;
  weights.divides_by_scale = name == "bitlinear";
  const Field modules = quantization["modules_to_not_convert"];
  for (std::size_t i = 0; i < modules.elements().size(); ++i) {
    const auto module = modules.at(i).text();
    weights.float_modules.push_back(module.value_or(""));
  }
}

}  // namespace

WeightsConfig translate_config(const Field& config, format::Gguf& model) {
  const ModelClass& model_class = find_class(config);
  model.metadata.add("general.architecture", model_class.architecture);
  Keys keys(model, model_class.architecture);
  translate_shape(config, model_class, keys);
  const std::size_t head_dim = head_dim_of(config);
  translate_rope(config, head_dim, keys, model);

  WeightsConfig weights;
  if (model_class.quantizes_masters) weights.form = TernaryForm::kMasters;
  if (model_class.pairs_neighbours) weights.rotary_dim = head_dim;
  if (const Field quantization = config["quantization_config"]; quantization.exists()) {
    translate_quantization(quantization, weights);
  }
  if (const auto tied = config["tie_word_embeddings"].flag()) {
    weights.head = *tied ? WeightsConfig::Head::kTied : WeightsConfig::Head::kOwn;
  }
  return weights;
}

}  // namespace tern::huggingface
