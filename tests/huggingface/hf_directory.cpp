#include "hf_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "src/base/half.h"
#include "src/weights/codec.h"

namespace tern::test {
namespace {

using Json = nlohmann::ordered_json;
using Bytes = std::vector<std::byte>;

template <typename T>
void append(Bytes& bytes, T value) {
  bytes.resize(bytes.size() + sizeof value);
  std::memcpy(bytes.data() + bytes.size() - sizeof value, &value, sizeof value);
}

std::string as_text(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// --- tensors ----------------------------------------------------------------------------------------------------

/// Models with a norm before every projection are published without an output head.
bool is_headless(const format::Gguf& model) { return model.find("blk.0.attn_q_norm_in.weight") != nullptr; }

bool pairs_neighbours(const std::string& architecture) { return architecture == "llama" || architecture == "minicpm"; }

std::string hf_name(std::string name, const std::string& architecture) {
  const bool old = architecture == "bitnet";  // 1bitLLM's names
  const bool gemma = architecture == "gemma3";
  const std::pair<const char*, const char*> names[] = {
      {"token_embd", "model.embed_tokens"},
      {"output_norm", "model.norm"},
      {"output", "lm_head"},
      {"attn_norm", "input_layernorm"},
      {"attn_q", "self_attn.q_proj"},
      {"attn_k", "self_attn.k_proj"},
      {"attn_v", "self_attn.v_proj"},
      {"attn_output", "self_attn.o_proj"},
      {"attn_q_norm", "self_attn.q_norm"},
      {"attn_k_norm", "self_attn.k_norm"},
      {"attn_sub_norm", old ? "self_attn.inner_attn_ln" : "self_attn.attn_sub_norm"},
      {"ffn_norm", gemma ? "pre_feedforward_layernorm" : "post_attention_layernorm"},
      {"post_attention_norm", "post_attention_layernorm"},
      {"post_ffw_norm", "post_feedforward_layernorm"},
      {"ffn_gate", "mlp.gate_proj"},
      {"ffn_up", "mlp.up_proj"},
      {"ffn_down", "mlp.down_proj"},
      {"ffn_sub_norm", old ? "mlp.ffn_layernorm" : "mlp.ffn_sub_norm"}};
  std::string prefix;
  if (name.starts_with("blk.")) {
    const std::size_t dot = name.find('.', 4);
    prefix = "model.layers." + name.substr(4, dot - 3);
    name = name.substr(dot + 1);
  }
  constexpr std::string_view kInput = "_norm_in";
  std::string stem = name.substr(0, name.find('.'));
  const bool of_input = stem.ends_with(kInput);
  if (of_input) stem.resize(stem.size() - kInput.size());
  for (const auto& [gguf, hf] : names) {
    if (stem == gguf) return prefix + hf + (of_input ? ".norm.weight" : ".weight");
  }
  return prefix + name;
}

/// A ternary tensor's codes and scales in the order in which a directory has its rows.
struct Codes {
  std::size_t rows, cols;
  std::vector<std::uint8_t> codes;  // (rows, cols)
  std::size_t scale_cols;           // columns that share a scale
  std::vector<float> scales;        // (rows, cols / scale_cols)

  [[nodiscard]] float scale(std::size_t element = 0) const {
    return scales[element / cols * (cols / scale_cols) + element % cols / scale_cols];
  }
};

/// GGUF's architecture llama pairs row 2i of a head with row 2i + 1; directories pair row i with row i + n / 2.
Codes codes_of(const format::TensorInfo& tensor, std::size_t head_dim) {
  const weights::TensorCodec& codec = *weights::find_codec(tensor.type);
  Codes w{tensor.rows(), tensor.cols(), {}, codec.scale_cols(tensor.cols()), {}};
  w.codes.resize(w.rows * w.cols);
  w.scales.resize(w.rows * w.cols / w.scale_cols);
  for (std::size_t row = 0; row < w.rows; ++row) {
    std::size_t to = row;
    if (head_dim != 0) to = row / head_dim * head_dim + row % 2 * (head_dim / 2) + row % head_dim / 2;
    if (!codec.unpack_row(tensor.data.data(), row, w.cols, &w.codes[to * w.cols])) throw std::runtime_error("code 3");
    codec.read_scales(tensor.data.data(), tensor.n_elements, row, w.cols, &w.scales[to * (w.cols / w.scale_cols)]);
  }
  return w;
}

HfTensor pack(const std::string& name, const Codes& w) {
  HfTensor tensor{name, "U8", {w.rows / 4, w.cols}, Bytes(w.rows / 4 * w.cols)};
  for (std::size_t row = 0; row < w.rows; ++row) {
    for (std::size_t c = 0; c < w.cols; ++c) {
      const unsigned code = w.codes[row * w.cols + c];
      tensor.data[row % (w.rows / 4) * w.cols + c] |= static_cast<std::byte>(code << 2 * (row / (w.rows / 4)));
    }
  }
  return tensor;
}

/// Masters spread around what their codes stand for; exact floats do not.
HfTensor spread(const std::string& name, const Codes& w, HfForm form) {
  const bool f32 = form == HfForm::kMastersF32;
  const bool f16 = form == HfForm::kMastersF16;
  HfTensor tensor{name, f32 ? "F32" : f16 ? "F16" : "BF16", {w.rows, w.cols}, {}};
  std::uint32_t state = 12345;
  for (std::size_t i = 0; i < w.codes.size(); ++i) {
    const std::uint8_t code = w.codes[i];
    const float scale = w.scale(i);
    state = state * 1664525u + 1013904223u;
    const float u = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;  // [-1, 1)
    float value = (static_cast<float>(code) - 1.0f) * scale;
    if (form != HfForm::kExactBf16) value = code == 1 ? 0.25f * u * scale : value * (1.0f + 0.25f * u);
    if (f32) {
      append(tensor.data, value);
    } else {
      append(tensor.data, f16 ? f32_to_f16(value) : f32_to_bf16(value));
    }
  }
  return tensor;
}

void add_linear(const std::string& name, const Codes& w, HfForm form, std::vector<HfTensor>& tensors) {
  if (form != HfForm::kPackedMultiply && form != HfForm::kPackedDivide) {
    tensors.push_back(spread(name, w, form));
    return;
  }
  tensors.push_back(pack(name, w));
  HfTensor scale{name + "_scale", "BF16", {1}, {}};
  append(scale.data, f32_to_bf16(form == HfForm::kPackedDivide ? 1.0f / w.scale() : w.scale()));
  tensors.push_back(scale);
}

/// Floats near 1, exactly.
void subtract_one(Bytes& bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(float)) {
    float value = 0.0f;
    std::memcpy(&value, bytes.data() + i, sizeof value);
    value -= 1.0f;
    std::memcpy(bytes.data() + i, &value, sizeof value);
  }
}

std::vector<HfTensor> hf_tensors(const format::Gguf& model, HfForm form) {
  const std::string architecture(*model.metadata.string("general.architecture"));
  const auto head_dim = model.metadata.integer(architecture + ".attention.key_length", 4096);
  std::vector<HfTensor> tensors;
  for (const format::TensorInfo& tensor : model.tensors) {
    std::string name = hf_name(std::string(tensor.name), architecture);
    if (is_headless(model)) name = name.substr(std::string("model.").size());
    const weights::TensorCodec& codec = *weights::find_codec(tensor.type);
    if (codec.is_ternary()) {
      const bool rotated = name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
      add_linear(name, codes_of(tensor, pairs_neighbours(architecture) && rotated ? *head_dim : 0), form, tensors);
      continue;
    }
    HfTensor plain{name, std::string(codec.name), {}, {tensor.data.begin(), tensor.data.end()}};
    for (std::uint32_t d = tensor.n_dims; d > 0; --d) plain.shape.push_back(tensor.dims[d - 1]);
    if (architecture == "gemma3" && codec.name == "F32") subtract_one(plain.data);  // all norms but those of inputs
    tensors.push_back(plain);
  }
  return tensors;
}

// --- config.json ------------------------------------------------------------------------------------------------

void add_gemma(const format::Gguf& model, Json& config) {
  if (model.metadata.string("general.architecture") != "gemma3") return;
  config.erase("hidden_act");
  config["hidden_activation"] = "gelu_pytorch_tanh";
  config["query_pre_attn_scalar"] = *model.metadata.integer("gemma3.attention.key_length", 4096);
  const auto window = model.metadata.integer("gemma3.attention.sliding_window", 4096);
  if (window) config["sliding_window"] = *window;
  if (window) config["rope_local_base_freq"] = *model.metadata.number("gemma3.rope.freq_base_swa");
  const auto period = window ? *model.metadata.integer("gemma3.attention.sliding_window_pattern", 4096) : 1u;
  for (std::size_t i = 1; i <= config["num_hidden_layers"]; ++i) {
    config["layer_types"].push_back(i % period == 0 ? "full_attention" : "sliding_attention");
  }
}

void add_minicpm(const format::Gguf& model, Json& config) {
  if (model.metadata.string("general.architecture") != "minicpm") return;
  const auto number = [&](const char* key) { return *model.metadata.number(std::string("minicpm.") + key); };
  const double n_layers = config["num_hidden_layers"], dim = config["hidden_size"];
  config["scale_emb"] = number("embedding_scale");
  config["scale_depth"] = number("residual_scale") * std::sqrt(n_layers);
  config["dim_model_base"] = dim / number("logit_scale");
}

Json config_of(const format::Gguf& model, HfForm form) {
  const std::string architecture(*model.metadata.string("general.architecture"));
  const auto count = [&](const char* key) { return *model.metadata.integer(architecture + key, 1u << 31); };
  Json config = {{"hidden_size", count(".embedding_length")},
                 {"intermediate_size", count(".feed_forward_length")},
                 {"num_hidden_layers", count(".block_count")},
                 {"num_attention_heads", count(".attention.head_count")},
                 {"num_key_value_heads", count(".attention.head_count_kv")},
                 {"max_position_embeddings", count(".context_length")},
                 {"rms_norm_eps", *model.metadata.number(architecture + ".attention.layer_norm_rms_epsilon")},
                 {"rope_theta", *model.metadata.number(architecture + ".rope.freq_base")},
                 {"rope_scaling", nullptr},
                 {"hidden_act", architecture == "bitnet-b1.58" ? "relu2" : "silu"},
                 {"tie_word_embeddings", model.find("output.weight") == nullptr},
                 {"bos_token_id", 0},
                 {"eos_token_id", 1}};
  const std::map<std::string, const char*> classes = {
      {"bitnet", "BitnetForCausalLM"}, {"bitnet-b1.58", "BitNetForCausalLM"}, {"gemma3", "Gemma3ForCausalLM"},
      {"llama", "LlamaForCausalLM"},   {"minicpm", "MiniCPMForCausalLM"},     {"qwen3", "Qwen3ForCausalLM"}};
  config["architectures"] = Json::array({classes.at(architecture)});
  if (is_headless(model)) {
    config["architectures"] = Json::array({"OfItsOwnModel"});
    config["model_type"] = architecture == "gemma3" ? "gemma3_text" : "qwen3";
  }
  add_gemma(model, config);
  add_minicpm(model, config);
  if (const auto length = model.metadata.integer(architecture + ".attention.key_length", 4096)) {
    config["head_dim"] = *length;
  }
  if (form == HfForm::kExactBf16 || architecture == "bitnet" || is_headless(model)) return config;
  const bool packed = form == HfForm::kPackedMultiply || form == HfForm::kPackedDivide;
  Json& quantization = config["quantization_config"];
  quantization = {{"quant_method", "bitnet"}, {"modules_to_not_convert", nullptr}};
  if (form != HfForm::kPackedDivide) quantization["linear_class"] = "autobitlinear";
  if (!packed) quantization["quantization_mode"] = "online";
  return config;
}

}  // namespace

std::vector<std::byte> safetensors_file(std::string_view header, std::string_view data) {
  Bytes file;
  append(file, static_cast<std::uint64_t>(header.size()));
  for (const std::string_view part : {header, data}) {
    file.resize(file.size() + part.size());
    std::copy_n(std::as_bytes(std::span(part)).begin(), part.size(),
                file.end() - static_cast<std::ptrdiff_t>(part.size()));
  }
  return file;
}

std::vector<std::byte> safetensors_file(const std::vector<HfTensor>& tensors, std::size_t n_spaces) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const HfTensor& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + tensor.data.size()}}};
    data += as_text(tensor.data);
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8 + n_spaces, ' ');
  return safetensors_file(text, data);
}

std::string with_member(std::string_view json, std::string_view path, std::string_view value) {
  Json root = Json::parse(json);
  Json* at = &root;
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/')) {
    const std::string name(path.substr(0, slash));
    at = at->is_array() ? &(*at)[std::stoul(name)] : &(*at)[name];
    path.remove_prefix(slash + 1);
  }
  const std::string name(path);
  if (value.empty()) {
    at->erase(name);
  } else if (at->is_array()) {
    (*at)[std::stoul(name)] = Json::parse(value);
  } else {
    (*at)[name] = Json::parse(value);
  }
  return root.dump();
}

HfFiles hf_files(const format::Gguf& model, HfForm form) {
  return {{"config.json", config_of(model, form).dump()},
          {"tokenizer.json", tokenizer_json(model.metadata)},
          {"model.safetensors", as_text(safetensors_file(hf_tensors(model, form)))}};
}

HfFiles sharded(const HfFiles& files) {
  HfFiles split = files;
  const std::string whole = split.extract("model.safetensors").mapped();
  std::uint64_t n_bytes = 0;
  std::memcpy(&n_bytes, whole.data(), sizeof n_bytes);
  const Json header = Json::parse(whole.substr(8, n_bytes));
  std::vector<HfTensor> parts[2];
  Json index = {{"metadata", {{"total_size", whole.size() - 8 - n_bytes}}}, {"weight_map", Json::object()}};
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const std::size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    const auto bytes = std::as_bytes(std::span(whole)).subspan(8 + n_bytes + begin, end - begin);
    const std::size_t part = index["weight_map"].size() % 2;
    parts[part].push_back({name, entry["dtype"], entry["shape"], {bytes.begin(), bytes.end()}});
    index["weight_map"][name] = part == 0 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
  }
  split["model-00001-of-00002.safetensors"] = as_text(safetensors_file(parts[0]));
  split["model-00002-of-00002.safetensors"] = as_text(safetensors_file(parts[1]));
  split["model.safetensors.index.json"] = index.dump();
  return split;
}

HfDirectory::HfDirectory(const HfFiles& files) {
  std::string name = (std::filesystem::temp_directory_path() / "tern-hf-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
  path_ = name;
  for (const auto& [file, text] : files) std::ofstream(path_ / file, std::ios::binary) << text;
}

}  // namespace tern::test
