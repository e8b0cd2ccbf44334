#include "tools/sampling_options.h"

#include <fmt/core.h>

#include "tern/error.h"
#include "tools/input.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

/// "42=-1.5".
std::pair<Token, float> parse_bias(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals != std::string_view::npos) {
    const auto token = parse_number<Token>(text.substr(0, equals));
    const auto value = parse_number<float>(text.substr(equals + 1));
    if (token && value) return {*token, *value};
  }
  throw Error(ErrorKind::kInvalidArgument,
              fmt::format("--logit-bias: expected TOKEN=VALUE, such as 42=-1.5, found '{}'", one_line(text)));
}

}  // namespace

void SamplingFlags::declare(Command& cli) {
  SamplingOptions& s = sampling;
  const auto add = [&](const char* name, auto& value, const char* help) {
    return cli.option(name, value, help).show_default().group("Sampling");
  };
  add("--temp", s.temperature, "Divides the logits; 0 = always the most likely token").value_name("T");
  add("--top-k", s.top_k, "Keep the K most likely tokens; 0 = all").value_name("K");
  add("--top-p", s.top_p, "Keep the smallest set of tokens with this probability; 1 = all").value_name("P");
  add("--min-p", s.min_p, "Keep tokens at least this share as likely as the best; 0 = all").value_name("P");
  add("--repeat-penalty", s.repeat_penalty, "Make recent tokens less likely; 1 = off").value_name("X");
  add("--frequency-penalty", s.frequency_penalty, "Taken from the logit for each recent use; 0 = off").value_name("X");
  add("--presence-penalty", s.presence_penalty, "Taken from the logit of recent tokens; 0 = off").value_name("X");
  add("--penalty-window", s.penalty_window, "Tokens that count as recent").value_name("N");
  add("--seed", s.seed, "Seed of the random draws").value_name("N");
  cli.option("--logit-bias", logit_bias, "Add VALUE to a token's logit; -inf forbids it; repeatable")
      .value_name("TOKEN=VALUE")
      .repeatable()
      .group("Sampling");
}

SamplingOptions SamplingFlags::options() const {
  SamplingOptions result = sampling;
  for (const std::string& bias : logit_bias) result.logit_bias.push_back(parse_bias(bias));
  return result;
}

}  // namespace tern::tools
