#include "src/architectures/unsupported_keys.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>

#include "src/base/check.h"
#include "src/base/printable.h"

namespace tern::architectures {
namespace {

/// Of "NAME.attention." and "NAME.rope.", what read_config() reads or a graph of RMS norms has no use for.
constexpr std::string_view kKnown[] = {
    "attention.causal",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.scale",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
};

/// Not read; with these values they change nothing.
struct NeutralKey {
  std::string_view key;
  double value;
};
constexpr NeutralKey kNeutral[] = {
    {"attention.clamp_kqv", 0.0},       {"attention.max_alibi_bias", 0.0},    {"attn_logit_softcapping", 0.0},
    {"final_logit_softcapping", 0.0},   {"rope.scaling.yarn_attn_factor", 1}, {"rope.scaling.yarn_beta_fast", 32},
    {"rope.scaling.yarn_beta_slow", 1}, {"rope.scaling.yarn_ext_factor", 1},  {"rope.scaling.yarn_log_multiplier", 0},
};

class Refusal {
 public:
  Refusal(const format::Metadata& metadata, std::string_view architecture)
      : metadata_(metadata), prefix_(std::string(architecture) + ".") {}

  void unless_neutral(std::string_view key, double neutral) const {
    if (metadata_.number(full(key)).value_or(neutral) != neutral) refuse(full(key));
  }
  void unless_zero(std::string_view key) const {
    constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();
    if (metadata_.integer(full(key), kAny).value_or(0) != 0) refuse(full(key));
  }
  void unless(std::string_view key, bool neutral) const {
    if (metadata_.boolean(full(key)).value_or(neutral) != neutral) refuse(full(key));
  }
  /// Every key of the two groups that is in neither table.
  void unknown() const {
    for (const auto& [key, value] : metadata_.entries()) {
      if (!key.starts_with(prefix_)) continue;
      const std::string_view name = key.substr(prefix_.size());
      if (!name.starts_with("attention.") && !name.starts_with("rope.")) continue;
      const bool known = std::ranges::find(kKnown, name) != std::end(kKnown) ||
                         std::ranges::find(kNeutral, name, &NeutralKey::key) != std::end(kNeutral);
      if (!known) refuse(key);
    }
  }

 private:
  [[nodiscard]] std::string full(std::string_view key) const { return prefix_ + std::string(key); }
  [[noreturn]] void refuse(std::string_view key) const {
    fail(ErrorKind::kUnsupported, "{}: key {}: not supported for this architecture", metadata_.source(),
         printable(key));
  }

  const format::Metadata& metadata_;
  std::string prefix_;
};

void refuse_rotated_weights(const format::Metadata& metadata) {
  for (const auto& [key, value] : metadata.entries()) {
    if (!key.starts_with("prism.hadamard.")) continue;
    fail(ErrorKind::kUnsupported,
         "{}: key {}: weights of a rotated space (Hadamard) are not supported; use a file of a model that is not "
         "rotated",
         metadata.source(), printable(key));
  }
}

}  // namespace

void refuse_unsupported_keys(const format::Metadata& metadata, std::string_view architecture,
                             const ConfigTraits& traits) {
  refuse_rotated_weights(metadata);
  const Refusal refuse(metadata, architecture);
  for (const auto& [key, value] : kNeutral) refuse.unless_neutral(key, value);
  if (!traits.scales) {
    for (const std::string_view key : {"embedding_scale", "residual_scale", "logit_scale"}) {
      refuse.unless_neutral(key, 0.0);
    }
  }
  refuse.unless("attention.causal", true);
  refuse.unless("use_parallel_residual", false);
  if (!traits.windows) refuse.unless_zero("attention.sliding_window");
  refuse.unless_zero("expert_count");
  refuse.unknown();
}

}  // namespace tern::architectures
