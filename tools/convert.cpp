// tern convert: a model as a GGUF file of other types.
#include <fmt/core.h>

#include <cmath>
#include <optional>

#include "tern/tern.h"
#include "tools/command.h"
#include "tools/convert_verify.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr const char* kExamples = R"(Examples:
  tern convert DIRECTORY -o model.gguf
  tern convert model.gguf -o model.tq2_0.gguf --type tq2_0 --embedding q6_k --verify
  tern convert model-00001-of-00003.gguf -o whole.gguf
  tern convert model.gguf -o model.ready.gguf --type kernel-ready    # starts at once

Ternary weights stay what they are. tq1_0 and tq2_0 have scales of 16 bits; where
one is rounded, the summary says by how much. For the architecture bitnet nothing
is: the scale stands in a tensor beside the weights, where other engines look too.

--embedding and --head round floats, as ggml's reference quantizers do. A model
without output.weight has one matrix for both, whose type is --embedding.

kernel-ready is a file for tern alone: weights as this machine's kernels read them,
mapped and used in place, with the int8 head and checksums of all tensors, which
tern doctor checks. --layout packs for other machines.

--verify has both models predict the same text, with the heads of the files, and
compares: Kullback-Leibler divergence KL(source || new) per token in nats, and the
largest difference of two logits. Status 6 when that is not finite, or too large; the
file stays all the same, to be looked at.
)";

struct ConvertCommand {
  std::string source;
  std::string output;
  std::string i2s_layout = "128";
  ConvertOptions options;
  bool verify = false;
  std::optional<std::string> verify_text;  // path
  std::optional<double> verify_max_kl;
  bool json = false;
  bool quiet = false;
};

Json to_json(const ConvertSummary& summary) {
  Json types = Json::array();
  for (const ConvertedType& type : summary.types) {
    types.push_back({{"type", type.type}, {"tensors", type.n_tensors}, {"bytes", type.bytes}});
  }
  return {{"source_bytes", summary.source_bytes},
          {"bytes", summary.bytes},
          {"converted_tensors", summary.n_converted},
          {"types", types},
          {"largest_scale_error", summary.largest_scale_error},
          {"least_exact_tensor", summary.least_exact_tensor},
          {"scale_tensors", summary.n_scale_tensors}};
}

Json to_json(const PredictionDistance& distance) {
  return {{"tokens", distance.tokens},
          {"mean_kl_nats", distance.mean_nats()},
          {"largest_kl_nats", distance.largest_nats},
          {"largest_logit_difference", distance.largest_logit},
          {"equal_best_share", distance.equal_share()},
          {"finite", distance.finite}};
}

std::string describe(const std::string& output, const ConvertSummary& summary) {
  std::string types;
  for (const ConvertedType& type : summary.types) {
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", type.n_tensors, type.type);
  }
  std::string scales = "scales exact";
  if (summary.largest_scale_error > 0) {
    scales = fmt::format("scales rounded to 16 bits, by {:.2g} of their value at most ({})",
                         summary.largest_scale_error, summary.least_exact_tensor);
  } else if (summary.n_scale_tensors > 0) {
    scales += fmt::format(", {} beside their weights", summary.n_scale_tensors);
  }
  constexpr double kMegabyte = 1e6;
  return fmt::format("{}: {:.1f} MB, from {:.1f} MB; tensors: {}; {}\n", output,
                     static_cast<double>(summary.bytes) / kMegabyte,
                     static_cast<double>(summary.source_bytes) / kMegabyte, types, scales);
}

std::string describe(const PredictionDistance& distance) {
  return fmt::format(
      "verified: KL {:.3g} nats per token, at most {:.3g}; logits differ by {:.3g} at most; same best token "
      "{:.2f} % of {}\n",
      distance.mean_nats(), distance.largest_nats, distance.largest_logit, 100.0 * distance.equal_share(),
      distance.tokens);
}

/// Nothing when Ctrl-C stopped it.
std::optional<ConvertSummary> convert_file(const ConvertCommand& command) {
  InterruptGuard interrupt;
  Progress progress("converting", command.quiet);
  ConvertOptions options = command.options;
  options.i2s_layout = command.i2s_layout == "64" ? I2sLayout::k64 : I2sLayout::k128;
  options.on_progress = [&](double share) { progress.update(share); };
  options.keep_going = [&] { return !interrupt.requested(); };
  return convert(command.source, command.output, options);
}

PredictionDistance verify(const ConvertCommand& command, const std::optional<std::string>& text) {
  // A kernel-ready file has the int8 head that the source gets when it is opened.
  const bool is_ready = command.options.type == "kernel-ready";
  OpenOptions source{.threads = command.options.threads, .head = is_ready ? HeadType::kInt8 : HeadType::kFile};
  OpenOptions output = source;
  source.i2s_layout = command.i2s_layout == "64" ? I2sLayout::k64 : I2sLayout::k128;
  return compare_models(command.source, command.output, text, source, output);
}

bool is_near_enough(const PredictionDistance& distance, std::optional<double> max_kl) {
  return distance.finite && (!max_kl || distance.mean_nats() <= *max_kl);
}

/// Nothing: the built-in one.
std::optional<std::string> read_verify_text(const ConvertCommand& command) {
  if (!command.verify_text) return std::nullopt;
  std::string text = read_file(*command.verify_text);
  if (!text.empty()) return text;
  throw Error(ErrorKind::kInvalidArgument,
              fmt::format("{}: is empty: expected a text to verify with", *command.verify_text));
}

int run(const ConvertCommand& command) {
  check_output(command.output, {command.source, command.verify_text.value_or("")});
  if (command.output == "-") {
    throw Error(ErrorKind::kInvalidArgument, "--output: expected the name of a file, found -: a model is not streamed");
  }
  const std::optional<std::string> text = read_verify_text(command);
  const std::optional<ConvertSummary> summary = convert_file(command);
  if (!summary) return InterruptGuard::status();
  std::optional<PredictionDistance> distance;
  if (command.verify) distance = verify(command, text);
  const bool good = !distance || is_near_enough(*distance, command.verify_max_kl);
  if (command.json) {
    Json json = to_json(*summary);
    if (distance) json["verification"] = to_json(*distance);
    print(to_line(json));
  } else if (!command.quiet) {
    print(describe(command.output, *summary) + (distance ? describe(*distance) : ""));
  }
  if (good) return kSuccess;
  print_error(
      fmt::format("{}: differs too much from {}: KL {} nats per token, expected {}", command.output, command.source,
                  distance->mean_nats(),
                  command.verify_max_kl ? fmt::format("at most {}", *command.verify_max_kl) : "a finite number"));
  return kFaultFound;
}

void declare_verification(Command& cli, ConvertCommand& command) {
  const Option verify = cli.flag("--verify", command.verify, "Compare what both models predict");
  cli.option("--verify-text", command.verify_text, "Text to predict instead of the built-in one; 256 tokens count")
      .value_name("FILE")
      .needs(verify);
  cli.option("--verify-max-kl", command.verify_max_kl, "Status 6 when the mean KL divergence is above X nats")
      .not_negative()
      .value_name("X")
      .needs(verify);
}

}  // namespace

Action declare_convert(Command& cli) {
  const auto command = std::make_shared<ConvertCommand>();
  cli.footer(kExamples);
  cli.option("source", command->source, "GGUF file, whole or split, or Hugging Face directory")
      .value_name("SOURCE")
      .required();
  cli.option("-o,--output", command->output, "GGUF file to write").value_name("FILE").required();
  cli.option("--type", command->options.type, "Type of the ternary layers").one_of(convert_types()).show_default();
  cli.option("--embedding", command->options.embedding, "Type of the embedding")
      .one_of(convert_float_types())
      .show_default();
  cli.option("--head", command->options.head, "Type of the output head, where it is not the embedding")
      .one_of(convert_float_types())
      .show_default();
  cli.option("--i2s-layout", command->i2s_layout, "Block size of I2_S in the source: 64 if quantized on ARM")
      .one_of({"128", "64"})
      .show_default();
  cli.option("--layout", command->options.layout,
             "With kernel-ready: e5, rows64, tile16x4 or plain instead of this machine's layout")
      .value_name("NAME");
  cli.option("-t,--threads", command->options.threads, "Threads; 0 = physical cores")
      .range(0, 1024)
      .value_name("N")
      .show_default();
  cli.flag("--force", command->options.overwrite, "Replace a file that is there already");
  declare_verification(cli, *command);
  cli.flag("--json", command->json, "Print one JSON object");
  cli.flag("-q,--quiet", command->quiet, "No progress, and no summary");
  return [command] { return run(*command); };
}

}  // namespace tern::tools
