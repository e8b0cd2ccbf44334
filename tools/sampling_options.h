#pragma once

#include <string>
#include <vector>

#include "tern/sampler.h"
#include "tools/cli11.h"

namespace tern::tools {

/// How tokens are chosen, with the defaults that all commands share.
struct SamplingFlags {
  SamplingOptions sampling = {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .seed = 0};
  std::vector<std::string> logit_bias = {};  // "TOKEN=VALUE"

  void declare(CLI::App& app);
  /// `sampling` with the biases in it.
  ///
  /// Errors    Error(kInvalidArgument)
  [[nodiscard]] SamplingOptions options() const;
};

}  // namespace tern::tools
