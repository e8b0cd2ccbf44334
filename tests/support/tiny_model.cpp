#include "tests/support/tiny_model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <stdexcept>

#include "src/base/half.h"
#include "tests/support/bytes.h"
#include "tests/support/pack_ternary.h"

namespace tern::test {
namespace {

/// In [-1, 1), a multiple of 2^-23: exact in f32.
float uniform(Random& random) {
  return static_cast<float>(static_cast<std::int64_t>(random.next() >> 40) - (std::int64_t{1} << 23)) * 0x1p-23f;
}

// --- tensors ------------------------------------------------------------------------------------------------------

/// Adds the tensors of a model, each drawn from one stream in file order.
class TensorMaker {
 public:
  TensorMaker(const TinyModelOptions& options, GgufBuilder& model)
      : options_(options), random_(options.seed), model_(model) {}

  /// (rows, cols) ternary, in the type that was asked for.
  void linear(const std::string& name, std::size_t rows, std::size_t cols) {
    // A third of the weights is 0: this keeps the variance of what goes through.
    add_ternary(name, options_.type, rows, cols, 1.0f / std::sqrt(static_cast<float>(cols) * 2.0f / 3.0f));
    input_norm(name, cols);
  }

  /// (n) F32, near 1.
  void norm(const std::string& name, std::size_t n) {
    std::vector<float> values(n);
    for (float& value : values) value = 1.0f + 0.25f * uniform(random_);
    model_.add_tensor(name + ".weight", 0, {n}, values);
  }

  /// (n) F16, near 1: the norm of a projection's input, if there are such.
  void input_norm(const std::string& name, std::size_t n) {
    if (!options_.input_norms) return;
    std::vector<std::uint16_t> values(n);
    for (std::uint16_t& value : values) value = f32_to_f16(1.0f + 0.25f * uniform(random_));
    model_.add_tensor(name + "_norm_in.weight", 1, {n}, values);
  }

  /// (rows, cols) F16, or ternary.
  void embedding(const std::string& name, std::size_t rows, std::size_t cols) {
    if (!options_.embedding_type.empty()) return add_ternary(name, options_.embedding_type, rows, cols, 0.25f);
    std::vector<std::uint16_t> values(rows * cols);
    for (std::uint16_t& value : values) value = f32_to_f16(0.25f * uniform(random_));
    model_.add_tensor(name + ".weight", 1, {cols, rows}, values);
  }

 private:
  void add_ternary(const std::string& name, const std::string& type, std::size_t rows, std::size_t cols, float scale) {
    const TernaryPacking& packing = find_packing(type);
    TernaryWeights weights{.rows = rows, .cols = cols, .scale_cols = packing.scale_cols, .codes = {}, .scales = {}};
    if (options_.scale_cols != 0) weights.scale_cols = options_.scale_cols;
    if (weights.scale_cols == 0 || weights.scale_cols > cols) weights.scale_cols = cols;
    weights.codes.resize(rows * cols);
    for (std::uint8_t& code : weights.codes) code = static_cast<std::uint8_t>(random_.below(3));
    if (!options_.zeros) {
      for (std::uint8_t& code : weights.codes) code = code == 1 ? 2 : code;
    }
    weights.scales.assign(rows * cols / weights.scale_cols, f16_to_f32(f32_to_f16(scale)));
    if (!options_.one_scale) {
      for (float& s : weights.scales) s = f16_to_f32(f32_to_f16(scale * (1.0f + 0.5f * uniform(random_))));
    }
    model_.add_tensor(name + ".weight", packing.gguf_type, {cols, rows}, packing.pack(weights));
  }

  const TinyModelOptions& options_;
  Random random_;
  GgufBuilder& model_;
};

void add_layer(TensorMaker& make, const TinyModelOptions& o, std::size_t layer) {
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  const std::size_t q_dim = o.n_heads * o.head_dim;
  const std::size_t kv_dim = o.n_kv_heads * o.head_dim;
  make.norm(prefix + "attn_norm", o.dim);
  make.linear(prefix + "attn_q", q_dim, o.dim);
  make.linear(prefix + "attn_k", kv_dim, o.dim);
  make.linear(prefix + "attn_v", kv_dim, o.dim);
  make.linear(prefix + "attn_output", o.dim, q_dim);
  if (o.architecture.starts_with("bitnet")) {
    make.norm(prefix + "attn_sub_norm", q_dim);
    make.norm(prefix + "ffn_sub_norm", o.ffn_dim);
  }
  if (o.architecture == "gemma3") {
    make.norm(prefix + "post_attention_norm", o.dim);
    make.norm(prefix + "post_ffw_norm", o.dim);
  }
  if (o.architecture == "qwen3" || o.architecture == "gemma3") {
    make.norm(prefix + "attn_q_norm", o.head_dim);
    make.norm(prefix + "attn_k_norm", o.head_dim);
  }
  make.norm(prefix + "ffn_norm", o.dim);
  make.linear(prefix + "ffn_gate", o.ffn_dim, o.dim);
  make.linear(prefix + "ffn_up", o.ffn_dim, o.dim);
  make.linear(prefix + "ffn_down", o.dim, o.ffn_dim);
}

// --- vocabulary ---------------------------------------------------------------------------------------------------

/// How GPT-2's vocabularies spell a byte: printable ones as themselves, the others as U+0100, U+0101, ...
std::vector<std::string> spell_bytes() {
  std::vector<std::string> spelled;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    const unsigned code_point = printable ? byte : next++;
    std::string text;
    if (code_point < 0x80) {
      text += static_cast<char>(code_point);
    } else {
      text += static_cast<char>(0xc0 | code_point >> 6);
      text += static_cast<char>(0x80 | (code_point & 0x3f));
    }
    spelled.push_back(text);
  }
  return spelled;
}

/// Returns the number of tokens.
std::size_t add_vocabulary(GgufBuilder& model, std::size_t least_tokens) {
  std::vector<std::string> tokens = {"<s>", "</s>", "<unk>"};
  std::vector<std::int32_t> types = {3, 3, 2};  // control, control, unknown
  std::vector<std::string> merges;
  const std::vector<std::string> spelled = spell_bytes();
  tokens.insert(tokens.end(), spelled.begin(), spelled.end());
  std::set<std::string> known(tokens.begin(), tokens.end());
  for (const std::string_view word :
       {" the", " and", " once", "Once", " upon", " a",     " time", " little", " was", " to",
        " of",  " her", " said", " day", " play", " there", "in",    "er",      "ed",   "ing"}) {
    std::string left = spelled[static_cast<unsigned char>(word.front())];
    for (const char c : word.substr(1)) {
      const std::string& right = spelled[static_cast<unsigned char>(c)];
      if (known.insert(left + right).second) {
        merges.push_back(left + " " + right);
        tokens.push_back(left + right);
      }
      left += right;
    }
  }
  types.resize(tokens.size(), 1);  // normal
  while (tokens.size() < least_tokens) tokens.push_back("<unused" + std::to_string(tokens.size()) + ">");
  types.resize(tokens.size(), 5);  // unused
  model.add("tokenizer.ggml.model", "gpt2").add("tokenizer.ggml.pre", "gpt-2");
  model.add("tokenizer.ggml.tokens", tokens).add("tokenizer.ggml.token_type", types);
  model.add("tokenizer.ggml.merges", merges);
  model.add("tokenizer.ggml.bos_token_id", 0u).add("tokenizer.ggml.eos_token_id", 1u);
  model.add("tokenizer.ggml.unknown_token_id", 2u).add("tokenizer.ggml.add_bos_token", true);
  return tokens.size();
}

void add_hyper_parameters(GgufBuilder& model, const TinyModelOptions& o) {
  const auto set_count = [&](std::string_view key, std::size_t n) {
    model.add(o.architecture + "." + std::string(key), static_cast<std::uint32_t>(n));
  };
  model.add("general.architecture", o.architecture);
  model.add("general.name", "tiny " + o.architecture);
  set_count("block_count", o.n_layers);
  set_count("context_length", o.context);
  set_count("embedding_length", o.dim);
  set_count("feed_forward_length", o.ffn_dim);
  set_count("attention.head_count", o.n_heads);
  set_count("attention.head_count_kv", o.n_kv_heads);
  set_count("attention.key_length", o.head_dim);
  set_count("attention.value_length", o.head_dim);
  set_count("rope.dimension_count", o.head_dim);
  model.add(o.architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
  model.add(o.architecture + ".rope.freq_base", 10000.0f);
  if (o.window > 0) {
    set_count("attention.sliding_window", o.window);
    set_count("attention.sliding_window_pattern", o.period);
    model.add(o.architecture + ".rope.freq_base_swa", 500.0f);
  }
  if (o.architecture == "minicpm") {
    model.add("minicpm.embedding_scale", 12.0f).add("minicpm.residual_scale", 0.25f).add("minicpm.logit_scale", 4.0f);
  }
}

}  // namespace

GgufBuilder::Tensor& find_tensor(GgufBuilder& model, std::string_view name) {
  for (GgufBuilder::Tensor& tensor : model.tensors) {
    if (tensor.name == name) return tensor;
  }
  throw std::runtime_error("tiny model: no tensor " + std::string(name));
}

GgufBuilder make_tiny_model(const TinyModelOptions& options) {
  GgufBuilder model;
  add_hyper_parameters(model, options);
  std::size_t n_rows = std::max(add_vocabulary(model, options.vocab_tokens), options.vocab_rows);
  if (options.embedding_type == "IQ2_BN_R4") n_rows = (n_rows + 3) / 4 * 4;  // whole groups of rows
  if (!options.chat_template.empty()) model.add("tokenizer.chat_template", std::string_view(options.chat_template));
  TensorMaker make(options, model);
  make.embedding("token_embd", n_rows, options.dim);
  for (std::size_t layer = 0; layer < options.n_layers; ++layer) add_layer(make, options, layer);
  make.norm("output_norm", options.dim);
  if (!options.tied_embeddings) make.embedding("output", n_rows, options.dim);
  return model;
}

void write_file(const std::string& path, const std::vector<std::byte>& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) throw std::runtime_error(path + ": cannot be opened");
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (std::fclose(file) != 0 || !written) throw std::runtime_error(path + ": cannot be written");
}

}  // namespace tern::test
