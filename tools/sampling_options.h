#pragma once

#include <string>
#include <vector>

#include "tern/sampler.h"
#include "tools/command_line.h"

namespace tern::tools {

/// How tokens are chosen, with the defaults that all commands share.
struct SamplingFlags {
  SamplingOptions sampling = {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .seed = 0};
  std::vector<std::string> logit_bias = {};  // "TOKEN=VALUE"

  void declare(Command& cli);
  /// `sampling` with the biases in it.
  ///
  /// Errors    Error(kInvalidArgument)
  [[nodiscard]] SamplingOptions options() const;
};

}  // namespace tern::tools
