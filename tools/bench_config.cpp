// The config.json that is published beside a model's weights, as far as it says how large the model is.
#include <fmt/format.h>

#include "tools/bench.h"
#include "tools/json.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

constexpr std::size_t kMostText = 1 << 20;  // bytes; published ones have a few thousand

class Config {
 public:
  Config(std::string_view text, const std::string& source) : source_(source) {
    if (text.size() <= kMostText) json_ = Json::parse(text, nullptr, false);
    if (text.size() > kMostText || !json_.is_object()) {
      refuse("expected a JSON object with a model's sizes, as in a config.json");
    }
  }

  /// A size; `otherwise` when it is not there, or an error when that is 0.
  [[nodiscard]] std::size_t size(const char* key, std::size_t otherwise = 0) const {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 31;
    const auto found = json_.find(key);
    const bool missing = found == json_.end() || found->is_null();
    if (missing && otherwise > 0) return otherwise;
    if (missing) refuse(fmt::format("\"{}\": expected a number, found nothing", key));
    if (!found->is_number_unsigned() || found->get<std::uint64_t>() == 0 || found->get<std::uint64_t>() > kMost) {
      const std::string value = found->dump(-1, ' ', true, Json::error_handler_t::replace);
      refuse(fmt::format("\"{}\": expected a number of 1 to {}, found {}", key, kMost, value.substr(0, 40)));
    }
    return found->get<std::size_t>();
  }
  /// A text, or an empty one when there is none; of a list its first.
  [[nodiscard]] std::string text(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) return {};
    const Json& value = found->is_array() && !found->empty() ? found->front() : *found;
    return value.is_string() ? value.get<std::string>() : std::string();
  }
  [[nodiscard]] bool flag(const char* key, bool otherwise) const {
    const auto found = json_.find(key);
    return found != json_.end() && found->is_boolean() ? found->get<bool>() : otherwise;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorKind::kInvalidArgument, one_line(fmt::format("{}: {}", source_, what)));
  }

  const std::string& source_;
  Json json_;
};

/// The architecture of a GGUF file that holds the model.
std::string architecture_of(const Config& config) {
  const bool bitnet = config.text("model_type") == "bitnet" || config.text("architectures").starts_with("Bit");
  if (bitnet) return config.text("hidden_act") == "relu2" ? "bitnet-b1.58" : "bitnet";
  const std::string type = config.text("model_type");
  if (type.starts_with("gemma3")) return "gemma3";
  return type == "qwen3" || type == "minicpm" ? type : "llama";
}

}  // namespace

ModelShape parse_config(std::string_view text, const std::string& source) {
  const Config config(text, source);
  ModelShape shape;
  shape.name = source;
  shape.architecture = architecture_of(config);
  shape.dim = config.size("hidden_size");
  shape.ffn_dim = config.size("intermediate_size");
  shape.n_layers = config.size("num_hidden_layers");
  shape.n_heads = config.size("num_attention_heads");
  shape.n_kv_heads = config.size("num_key_value_heads", shape.n_heads);
  shape.head_dim = config.size("head_dim", std::max<std::size_t>(1, shape.dim / shape.n_heads));
  shape.vocab_size = config.size("vocab_size");
  shape.context_length = config.size("max_position_embeddings", 4096);
  // Ternary models of the first kind tie them without saying so.
  const bool tied = config.flag("tie_word_embeddings", shape.architecture.starts_with("bitnet"));
  shape.head = tied ? HeadKind::kTied : HeadKind::kOwn;
  return shape;
}

}  // namespace tern::tools
