#include "src/huggingface/config.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <span>

#include "src/base/portable_math.h"
#include "src/weights/codecs.h"

namespace tern::huggingface {
namespace {

constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 31;

/// A class of models and what it is to the engine.
struct ModelClass {
  std::string_view name;           // in config.json's `architectures`
  std::string_view architecture;   // general.architecture
  bool pairs_neighbours = false;   // by RoPE, in the engine; the files always pair halves
  bool quantizes_masters = false;  // without a quantization_config
  bool any_activation = false;     // whatever the engine finds in {a}.hidden_act; else SiLU
};

constexpr ModelClass kClasses[] = {
    {.name = "BitNetForCausalLM", .architecture = "bitnet-b1.58", .any_activation = true},
    // Of 1bitLLM, with its own code.
    {.name = "BitnetForCausalLM", .architecture = "bitnet", .quantizes_masters = true, .any_activation = true},
    {.name = "Gemma3ForCausalLM", .architecture = "gemma3"},
    {.name = "Gemma3TextModel", .architecture = "gemma3"},
    {.name = "LlamaForCausalLM", .architecture = "llama", .pairs_neighbours = true},
    {.name = "MiniCPMForCausalLM", .architecture = "minicpm", .pairs_neighbours = true},
    {.name = "Qwen3ForCausalLM", .architecture = "qwen3"},
    {.name = "Qwen3Model", .architecture = "qwen3"},
};

/// Embedding models with classes of their own tell what they are in `model_type`.
constexpr std::pair<std::string_view, std::string_view> kModelTypes[] = {{"gemma3_text", "Gemma3TextModel"},
                                                                         {"qwen3", "Qwen3Model"}};

const ModelClass* find_named(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kClasses), std::end(kClasses), [&](const ModelClass& each) { return each.name == name; });
  return found == std::end(kClasses) ? nullptr : found;
}

const ModelClass& find_class(const Field& config) {
  const Field names = config["architectures"];
  for (std::size_t i = 0; i < names.elements().size(); ++i) {
    if (const ModelClass* known = find_named(names.at(i).text().value_or(""))) return *known;
  }
  for (const auto& [type, name] : kModelTypes) {
    if (config["model_type"].text() == type) return *find_named(name);
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

/// Refuses a number that is there and not what the engine computes with.
void refuse_unless(const Field& field, double expected) {
  if (field.exists() && field.number() != expected) field.refuse(ErrorKind::kUnsupported, fmt::format("{}", expected));
}

double positive(const Field& field, double otherwise) {
  const double value = field.number().value_or(otherwise);
  if (!(value > 0.0)) field.refuse(ErrorKind::kBadFile, "a number above 0");
  return value;
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

  refuse_if_set(config["use_sliding_window"]);
  if (model_class.pairs_neighbours) refuse_if_set(config["attention_bias"]);  // it would have to be reordered too
}

void translate_activation(const Field& config, const ModelClass& model_class, Keys& keys) {
  const bool gemma = model_class.architecture == "gemma3";
  const Field activation = config[gemma ? "hidden_activation" : "hidden_act"];
  if (!activation.exists()) return;
  if (model_class.any_activation) return keys.add("hidden_act", *activation.text());
  const std::string_view expected = gemma ? "gelu_pytorch_tanh" : "silu";
  if (activation.text() != expected) activation.refuse(ErrorKind::kUnsupported, fmt::format("'{}'", expected));
}

// --- Gemma 3 and MiniCPM --------------------------------------------------------------------------------------

/// Which layers see a window of the text only; what config.json leaves out is as in Hugging Face's Gemma3TextConfig.
void translate_windows(const Field& config, std::uint64_t n_layers, format::Gguf& model, Keys& keys) {
  constexpr std::uint64_t kWindow = 4096;
  constexpr std::uint64_t kPeriod = 6;
  constexpr std::uint64_t kMostLayers = 1 << 16;
  const std::uint64_t window = config["sliding_window"].natural(kMaxSize).value_or(kWindow);
  if (window == 0 || config.has_null("sliding_window")) {  // layers without one are of the type full_attention
    fail(ErrorKind::kUnsupported, "{}: key sliding_window: expected a number of tokens, found {}", config.source(),
         window == 0 ? "0" : "null");
  }
  keys.add("attention.sliding_window", window);
  const Field period =
      config["sliding_window_pattern"].exists() ? config["sliding_window_pattern"] : config["_sliding_window_pattern"];
  const Field types = config["layer_types"];
  if (!types.exists()) return keys.add("attention.sliding_window_pattern", period.natural(kMaxSize).value_or(kPeriod));
  if (types.elements().size() != n_layers || n_layers > kMostLayers) {
    types.refuse(ErrorKind::kBadFile, fmt::format("{} types of layers", n_layers));
  }
  const std::span<std::byte> local = model.arena.bytes(types.elements().size());
  for (std::size_t i = 0; i < local.size(); ++i) {
    const auto type = types.at(i).text();
    if (type != "sliding_attention" && type != "full_attention") {
      types.at(i).refuse(ErrorKind::kUnsupported, "'sliding_attention' or 'full_attention'");
    }
    local[i] = std::byte{type == "sliding_attention"};
  }
  keys.add("attention.sliding_window_pattern", format::NumberArray{format::ValueType::kBool, local.size(), local});
}

void translate_gemma(const Field& config, format::Gguf& model, Keys& keys) {
  constexpr double kQueryScalar = 256.0;  // of Hugging Face's Gemma3TextConfig
  keys.add("attention.scale", 1.0 / std::sqrt(positive(config["query_pre_attn_scalar"], kQueryScalar)));
  translate_windows(config, config["num_hidden_layers"].natural(kMaxSize).value_or(0), model, keys);
  for (const char* key :
       {"attention_bias", "use_bidirectional_attention", "attn_logit_softcapping", "final_logit_softcapping"}) {
    refuse_if_set(config[key]);
  }
}

/// Source    MiniCPM's modeling_minicpm.py
void translate_minicpm(const Field& config, Keys& keys) {
  const auto require = [&](const char* key) {
    if (!config[key].exists()) config[key].refuse(ErrorKind::kBadFile, "a number");
    return positive(config[key], 1.0);
  };
  keys.add("embedding_scale", require("scale_emb"));
  keys.add("residual_scale", require("scale_depth") / std::sqrt(require("num_hidden_layers")));
  keys.add("logit_scale", require("hidden_size") / require("dim_model_base"));
  for (const char* key : {"sparse_config", "num_experts"}) refuse_if_set(config[key]);
}

// --- RoPE -----------------------------------------------------------------------------------------------------

/// Elements of a head.
std::size_t head_dim_of(const Field& config) {
  const auto explicit_dim = config["head_dim"].natural(kMaxSize);
  const std::uint64_t heads = std::max<std::uint64_t>(config["num_attention_heads"].natural(kMaxSize).value_or(1), 1);
  return static_cast<std::size_t>(explicit_dim.value_or(config["hidden_size"].natural(kMaxSize).value_or(0) / heads));
}

/// Adds divisors of the frequencies as a tensor.
void add_factors(std::string_view name, std::span<const float> divisors, format::Gguf& model) {
  const std::span<std::byte> bytes = model.arena.bytes(divisors.size_bytes());
  std::copy_n(std::as_bytes(divisors).begin(), bytes.size(), bytes.begin());
  format::TensorInfo tensor;
  tensor.name = name;
  tensor.type = weights::kF32.gguf_type;
  tensor.dims[0] = tensor.n_elements = divisors.size();
  tensor.n_dims = 1;
  tensor.data = bytes;
  model.add(std::move(tensor), model.metadata.source());
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
  std::vector<float> divisors;
  for (std::size_t i = 0; i < n_dims / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(n_dims);
    const double wave = 2.0 * std::numbers::pi * portable::pow(theta, exponent);  // positions
    const double ramp = std::clamp((original / wave - low) / (high - low), 0.0, 1.0);
    divisors.push_back(static_cast<float>(1.0 / ((1.0 - ramp) / factor + ramp)));
  }
  add_factors("rope_freqs.weight", divisors, model);
}

/// LongRoPE: factors for texts up to the original context. The engine refuses a longer one.
void translate_longrope(const Field& scaling, std::size_t n_dims, Keys& keys, format::Gguf& model) {
  const Field factors = scaling["short_factor"];
  if (factors.elements().size() != n_dims / 2) {
    factors.refuse(ErrorKind::kBadFile, fmt::format("{} numbers, half of a head's elements", n_dims / 2));
  }
  std::vector<float> divisors;
  for (std::size_t i = 0; i < n_dims / 2; ++i) divisors.push_back(static_cast<float>(positive(factors.at(i), 1.0)));
  add_factors("rope_factors_short.weight", divisors, model);
  keys.add("rope.scaling.type", std::string_view("longrope"));
  keys.copy_count("rope.scaling.original_context_length", scaling["original_max_position_embeddings"], false);
  refuse_if_set(scaling["attention_factor"]);
}

void translate_yarn(const Field& scaling, Keys& keys) {
  const double factor = positive(scaling["factor"], 1.0);
  keys.add("rope.scaling.type", std::string_view("yarn"));
  keys.add("rope.scaling.factor", factor);
  keys.copy_count("rope.scaling.original_context_length", scaling["original_max_position_embeddings"], false);
  if (const Field attention = scaling["attention_factor"]; attention.exists()) {
    // GGUF's factor multiplies what the scaling itself implies.
    keys.add("rope.scaling.attn_factor", positive(attention, 1.0) / (1.0 + 0.1 * portable::log(factor)));
  }
  refuse_unless(scaling["beta_fast"], 32.0);
  refuse_unless(scaling["beta_slow"], 1.0);
  refuse_if_set(scaling["mscale"]);
  if (scaling["truncate"].flag() == false) scaling["truncate"].refuse(ErrorKind::kUnsupported, "true");
}

/// RoPE of a gemma3 directory: of its global layers, and of those that see a window. Newer files keep both in
/// `rope_parameters`.
Field gemma_rope_parameters(const Field& config, Keys& keys) {
  const Field both = config["rope_parameters"];
  const Field local = both["sliding_attention"];
  const Field local_base = local.exists() ? local["rope_theta"] : config["rope_local_base_freq"];
  keys.add("rope.freq_base_swa", positive(local_base, 10000.0));
  if (local["rope_type"].exists() && local["rope_type"].text() != "default") {
    local["rope_type"].refuse(ErrorKind::kUnsupported, "'default'");
  }
  refuse_unless(local["partial_rotary_factor"], 1.0);
  return both["full_attention"].exists() ? both["full_attention"] : both;
}

void translate_rope(const Field& config, std::size_t n_dims, bool gemma, Keys& keys, format::Gguf& model) {
  const Field parameters =  // newer files keep everything about RoPE there
      gemma ? gemma_rope_parameters(config, keys) : config["rope_parameters"];
  const Field scaling = parameters.exists() ? parameters : config["rope_scaling"];
  const Field theta = parameters["rope_theta"].exists() ? parameters["rope_theta"] : config["rope_theta"];
  const double base = positive(theta, gemma ? 1e6 : 10000.0);
  keys.add("rope.freq_base", base);
  const Field type = scaling["rope_type"].exists() ? scaling["rope_type"] : scaling["type"];
  const std::string_view name = type.text().value_or("default");
  for (const Field& holder : {config, scaling}) refuse_unless(holder["partial_rotary_factor"], 1.0);
  if (name == "linear") {
    keys.add("rope.scaling.type", name);
    keys.add("rope.scaling.factor", positive(scaling["factor"], 1.0));
  } else if (name == "yarn") {
    translate_yarn(scaling, keys);
  } else if (name == "llama3") {
    add_llama3_factors(scaling, base, n_dims, model);
  } else if (name == "longrope") {
    translate_longrope(scaling, n_dims, keys, model);
  } else if (name != "default") {
    type.refuse(ErrorKind::kUnsupported, "one of default, linear, yarn, llama3, longrope");
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
  translate_activation(config, model_class, keys);
  WeightsConfig weights;
  weights.gemma = model_class.architecture == "gemma3";
  const std::size_t head_dim = head_dim_of(config);
  translate_rope(config, head_dim, weights.gemma, keys, model);
  if (weights.gemma) translate_gemma(config, model, keys);
  if (model_class.architecture == "minicpm") translate_minicpm(config, keys);

  if (model_class.quantizes_masters) weights.form = TernaryForm::kMasters;
  if (model_class.pairs_neighbours) weights.rotary_dim = head_dim;
  if (const Field quantization = config["quantization_config"]; quantization.exists()) {
    translate_quantization(quantization, weights);
  }
  if (const auto tied = config["tie_word_embeddings"].flag()) {
    weights.head = *tied ? WeightsConfig::Head::kTied : WeightsConfig::Head::kOwn;
  }
  weights.attention_bias = config["attention_bias"].flag().value_or(false);
  weights.mlp_bias = config["mlp_bias"].flag().value_or(false);
  if (model_class.name.ends_with("Model")) weights.head = WeightsConfig::Head::kTied;  // there is none
  return weights;
}

}  // namespace tern::huggingface
