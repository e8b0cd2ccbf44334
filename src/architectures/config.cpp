#include <cmath>
#include <string>

#include "src/architectures/architecture.h"
#include "src/architectures/unsupported_keys.h"
#include "src/base/check.h"
#include "src/base/printable.h"

namespace tern::architectures {
namespace {

// Limits that no published model comes near; they keep products of sizes far from overflow.
constexpr std::uint64_t kMaxLayers = 1024;
constexpr std::uint64_t kMaxDim = 1 << 20;
constexpr std::uint64_t kMaxHeads = 4096;
constexpr std::uint64_t kMaxHeadDim = 4096;
constexpr std::uint64_t kMaxContext = std::uint64_t{1} << 31;
constexpr double kMinNumber = 1e-30;
constexpr double kMaxNumber = 1e30;

/// Typed access to the keys of one architecture: "NAME.key".
class Keys {
 public:
  Keys(const format::Metadata& metadata, std::string_view architecture)
      : metadata_(metadata), prefix_(std::string(architecture) + ".") {}

  [[nodiscard]] std::string full(std::string_view key) const { return prefix_ + std::string(key); }

  [[nodiscard]] std::size_t count(std::string_view key, std::uint64_t max) const {
    const auto value = metadata_.integer(full(key), max);
    if (!value) fail(ErrorKind::kBadFile, "{}: key {} is missing", metadata_.source(), full(key));
    if (*value == 0)
      fail(ErrorKind::kBadFile, "{}: key {}: expected at least 1, found 0", metadata_.source(), full(key));
    return static_cast<std::size_t>(*value);
  }
  [[nodiscard]] std::size_t count_or(std::string_view key, std::uint64_t max, std::size_t otherwise) const {
    return metadata_.contains(full(key)) ? count(key, max) : otherwise;
  }
  /// A number of such a size that it and its inverse are good floats; zero if that may be.
  [[nodiscard]] double positive_or(std::string_view key, double otherwise, bool may_be_zero = false) const {
    const double value = metadata_.number(full(key)).value_or(otherwise);
    if ((value >= kMinNumber && value <= kMaxNumber) || (may_be_zero && value == 0.0)) return value;
    fail(ErrorKind::kBadFile, "{}: key {}: expected a number above 0 (from {} to {}){}, found {}", metadata_.source(),
         full(key), kMinNumber, kMaxNumber, may_be_zero ? ", or 0" : "", value);
  }
  [[nodiscard]] std::string_view string_or(std::string_view key, std::string_view otherwise) const {
    return metadata_.string(full(key)).value_or(otherwise);
  }
  [[nodiscard]] const format::Metadata& metadata() const noexcept { return metadata_; }

 private:
  const format::Metadata& metadata_;
  std::string prefix_;
};

void read_rope_scaling(const Keys& keys, const Config& c, nn::RopeParameters& rope) {
  const std::string_view type = keys.string_or("rope.scaling.type", "");
  rope.factor = keys.positive_or("rope.scaling.factor", keys.positive_or("rope.scale_linear", 0.0, true), true);
  if (rope.factor == 0.0) rope.factor = 1.0;
  rope.attention_factor = keys.positive_or("rope.scaling.attn_factor", 1.0);
  rope.original_context = keys.count_or("rope.scaling.original_context_length", kMaxContext, c.context_length);
  if (type == "linear" || (type.empty() && rope.factor != 1.0)) {
    rope.scaling = nn::RopeScaling::kLinear;
  } else if (type == "yarn") {
    rope.scaling = nn::RopeScaling::kYarn;
  } else if (type.empty() || type == "none" || type == "longrope") {
    rope.scaling = nn::RopeScaling::kNone;  // longrope: see read_frequency_factors()
  } else {
    fail(ErrorKind::kUnsupported, "{}: key {}: unknown scaling \"{}\"; known: none, linear, longrope, yarn",
         keys.metadata().source(), keys.full("rope.scaling.type"), printable(type));
  }
}

nn::RopeParameters read_rope(const Keys& keys, const Config& c, nn::RopePairing pairing) {
  nn::RopeParameters rope;
  rope.pairing = pairing;
  rope.n_dims = keys.count_or("rope.dimension_count", kMaxHeadDim, c.head_dim);
  if (rope.n_dims % 2 != 0 || rope.n_dims > c.head_dim) {
    fail(ErrorKind::kBadFile, "{}: key {}: expected an even number up to the head's {}, found {}",
         keys.metadata().source(), keys.full("rope.dimension_count"), c.head_dim, rope.n_dims);
  }
  rope.theta = keys.positive_or("rope.freq_base", 10000.0);
  read_rope_scaling(keys, c, rope);
  return rope;
}

/// Divisors of the frequencies, (n_dims / 2), of a tensor that may be missing.
std::vector<float> read_factors(const Keys& keys, const std::string& name, std::size_t n_dims,
                                nn::WeightStore& weights) {
  const std::span<const float> factors = weights.optional_vector(name, n_dims / 2);
  for (const float factor : factors) {
    if (!(factor > 0.0f)) {
      fail(ErrorKind::kBadFile, "{}: {}.weight: factor {} is not above 0", keys.metadata().source(), name, factor);
    }
  }
  return {factors.begin(), factors.end()};
}

/// LongRoPE has factors for texts up to the original context and others for longer ones; the latter, which would change
/// what is in the cache already, are for models of a longer context only.
/// Source    Ding et al. 2024, arXiv:2402.13753, section 3
void read_frequency_factors(const Keys& keys, Config& c, nn::WeightStore& weights) {
  c.rope.frequency_factors = read_factors(keys, "rope_freqs", c.rope.n_dims, weights);
  if (keys.string_or("rope.scaling.type", "") != "longrope") return;
  const std::string& source = keys.metadata().source();
  if (c.context_length > c.rope.original_context) {
    fail(ErrorKind::kUnsupported, "{}: key {}: longrope beyond the original context of {} tokens is not supported",
         source, keys.full("context_length"), c.rope.original_context);
  }
  c.rope.frequency_factors = read_factors(keys, "rope_factors_short", c.rope.n_dims, weights);
  static_cast<void>(read_factors(keys, "rope_factors_long", c.rope.n_dims, weights));
  if (c.rope.frequency_factors.empty()) {
    fail(ErrorKind::kBadFile, "{}: tensor rope_factors_short.weight is missing", source);
  }
}

/// Which layers see a window only: as the file lists them, or all but every n-th.
std::vector<bool> read_local_layers(const Keys& keys, std::size_t n_layers) {
  constexpr std::size_t kPeriod = 6;  // of Gemma 3, whose files need not say so
  const std::string key = keys.full("attention.sliding_window_pattern");
  std::vector<bool> local(n_layers);
  if (keys.metadata().holds_numbers(key)) {
    const format::NumberArray& listed = *keys.metadata().numbers(key);
    if (listed.count != n_layers) {
      fail(ErrorKind::kBadFile, "{}: key {}: expected {} values, found {}", keys.metadata().source(), key, n_layers,
           listed.count);
    }
    for (std::size_t i = 0; i < n_layers; ++i) local[i] = listed.number(i) != 0.0;
    return local;
  }
  const std::size_t period = keys.count_or("attention.sliding_window_pattern", kMaxLayers, kPeriod);
  for (std::size_t i = 0; i < n_layers; ++i) local[i] = (i + 1) % period != 0;
  return local;
}

void read_windows(const Keys& keys, Config& c) {
  const auto window = keys.metadata().integer(keys.full("attention.sliding_window"), kMaxContext);
  if (!window || *window == 0) return;
  c.window = static_cast<std::size_t>(*window);
  c.is_local = read_local_layers(keys, c.n_layers);
  c.local_rope.pairing = c.rope.pairing;
  c.local_rope.n_dims = c.rope.n_dims;
  c.local_rope.theta = keys.positive_or("rope.freq_base_swa", 10000.0);
}

void read_scales(const Keys& keys, Config& c) {
  const auto require = [&](std::string_view key) {
    if (!keys.metadata().contains(keys.full(key))) {
      fail(ErrorKind::kBadFile, "{}: key {} is missing", keys.metadata().source(), keys.full(key));
    }
    return keys.positive_or(key, 1.0);
  };
  c.embedding_scale = static_cast<float>(require("embedding_scale"));
  c.residual_scale = static_cast<float>(require("residual_scale"));
  c.output_scale = static_cast<float>(1.0 / require("logit_scale"));
}

void read_heads(const Keys& keys, Config& c) {
  const std::string& source = keys.metadata().source();
  c.n_heads = keys.count("attention.head_count", kMaxHeads);
  c.n_kv_heads = keys.count_or("attention.head_count_kv", kMaxHeads, c.n_heads);
  if (c.n_heads % c.n_kv_heads != 0) {
    fail(ErrorKind::kBadFile, "{}: {} key-value heads do not divide {} heads", source, c.n_kv_heads, c.n_heads);
  }
  if (!keys.metadata().contains(keys.full("attention.key_length")) && c.dim % c.n_heads != 0) {
    fail(ErrorKind::kBadFile, "{}: {} heads do not divide the embedding length {}", source, c.n_heads, c.dim);
  }
  c.head_dim = keys.count_or("attention.key_length", kMaxHeadDim, c.dim / c.n_heads);
  if (c.n_heads * c.head_dim > kMaxDim) {
    fail(ErrorKind::kBadFile, "{}: {} heads of {} elements: expected at most {} together", source, c.n_heads,
         c.head_dim, kMaxDim);
  }
  const std::size_t value_length = keys.count_or("attention.value_length", kMaxHeadDim, c.head_dim);
  if (value_length != c.head_dim) {
    fail(ErrorKind::kUnsupported, "{}: keys of {} and values of {} elements: expected the same", source, c.head_dim,
         value_length);
  }
}

std::size_t vocab_rows(const format::Gguf& gguf) {
  const format::TensorInfo* embedding = gguf.find("token_embd.weight");
  if (embedding == nullptr) {
    fail(ErrorKind::kBadFile, "{}: tensor token_embd.weight is missing", gguf.metadata.source());
  }
  return static_cast<std::size_t>(embedding->rows());
}

}  // namespace

Config read_config(const format::Gguf& gguf, std::string_view architecture, const ConfigTraits& traits,
                   nn::WeightStore& weights) {
  const Keys keys(gguf.metadata, architecture);
  Config c;
  c.n_layers = keys.count("block_count", kMaxLayers);
  c.dim = keys.count("embedding_length", kMaxDim);
  c.ffn_dim = keys.count("feed_forward_length", kMaxDim);
  c.context_length = keys.count("context_length", kMaxContext);
  c.vocab_size = vocab_rows(gguf);
  read_heads(keys, c);
  refuse_unsupported_keys(gguf.metadata, architecture, traits);

  if (!gguf.metadata.contains(keys.full("attention.layer_norm_rms_epsilon"))) {
    fail(ErrorKind::kBadFile, "{}: key {} is missing", gguf.metadata.source(),
         keys.full("attention.layer_norm_rms_epsilon"));
  }
  c.norm_eps = static_cast<float>(keys.positive_or("attention.layer_norm_rms_epsilon", 0.0, true));
  const double default_scale = 1.0 / std::sqrt(static_cast<double>(c.head_dim));
  c.attention_scale = static_cast<float>(keys.positive_or("attention.scale", default_scale));
  c.rope = read_rope(keys, c, traits.pairing);
  read_frequency_factors(keys, c, weights);
  if (traits.windows) read_windows(keys, c);
  if (traits.scales) read_scales(keys, c);
  return c;
}

}  // namespace tern::architectures
