// tern bench --predict: speed and memory of a model that nobody has downloaded.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "tools/bench.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr std::size_t kDefaultContext = 4096;  // tokens
constexpr double kQuickSeconds = 0.2;

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

/// A published model by name, capitals or not, or the shape in a config.json.
ModelShape find_shape(const std::string& wanted) {
  std::vector<std::string> names;
  for (const ModelShape& shape : published_models()) {
    if (lower(shape.name) == lower(wanted)) return shape;
    names.push_back(shape.name);
  }
  if (wanted.ends_with(".json") || wanted.find('/') != std::string::npos)
    return parse_config(read_file(wanted), wanted);
  throw Error(ErrorKind::kInvalidArgument,
              fmt::format("--predict: unknown model '{}'; expected a config.json, or one of: {}", one_line(wanted),
                          fmt::join(names, ", ")));
}

const char* to_string(HeadKind head) {
  return head == HeadKind::kTied ? "tied" : head == HeadKind::kOwn ? "own" : "none";
}

Json to_json(const ModelShape& shape) {
  return {{"name", shape.name},
          {"architecture", shape.architecture},
          {"n_layers", shape.n_layers},
          {"dim", shape.dim},
          {"ffn_dim", shape.ffn_dim},
          {"n_heads", shape.n_heads},
          {"n_kv_heads", shape.n_kv_heads},
          {"head_dim", shape.head_dim},
          {"vocab_size", shape.vocab_size},
          {"context_length", shape.context_length},
          {"head", to_string(shape.head)},
          {"ternary_head", shape.ternary_head},
          {"scale_cols", shape.scale_cols},
          {"confirmed", shape.confirmed}};
}

int list_shapes(bool json) {
  std::string text = json ? ""
                          : fmt::format("{:<24}{:<16}{:>7}{:>7}{:>7}{:>8}{:>8}\n", "name", "architecture", "layers",
                                        "dim", "ffn", "heads", "vocab");
  for (const ModelShape& s : published_models()) {
    text += json ? to_line(to_json(s))
                 : fmt::format("{:<24}{:<16}{:>7}{:>7}{:>7}{:>8}{:>8}{}\n", s.name, s.architecture, s.n_layers, s.dim,
                               s.ffn_dim, fmt::format("{}/{}", s.n_heads, s.n_kv_heads), s.vocab_size,
                               s.confirmed ? "" : "  sizes not all confirmed");
  }
  print(text);
  return kSuccess;
}

/// "12.3 tok/s +-1 %".
std::string speed(const std::vector<double>& seconds, std::size_t n_tokens) {
  const Spread spread = spread_of(seconds);
  return fmt::format("{:.1f} tok/s +-{:.0f} %", static_cast<double>(n_tokens) / spread.median,
                     100.0 * spread.relative());
}

std::string describe(const ModelShape& shape, const Prediction& p, const PredictOptions& options) {
  const auto megabytes = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  const MachineDescription machine = describe_machine();
  std::string text = fmt::format("{}, {}: {:.2f}e9 parameters, on {} with {} threads\n", one_line(shape.name),
                                 shape.architecture, static_cast<double>(p.n_parameters) / 1e9, machine.cpu, p.threads);
  text += fmt::format(
      "memory   {:.0f} MB: {:.0f} ternary weights, {:.0f} head, {:.1f} norms, {:.0f} keys and values of "
      "{} tokens; {:.0f} MB are available\n",
      megabytes(p.resident_bytes), megabytes(p.ternary_bytes), megabytes(p.head_bytes), megabytes(p.float_bytes),
      megabytes(p.kv_bytes), p.context, megabytes(machine.available_bytes));
  text += fmt::format("         and {:.0f} MB of the file's {} embedding mapped, one row read for a token\n",
                      megabytes(p.embedding_bytes), shape.ternary_head ? "ternary" : "F16");
  if (!p.decode_seconds.empty()) {
    const double read = spread_of(p.read_bytes_per_s).median;
    const double limit = read / static_cast<double>(p.bytes_read_per_token);
    text += fmt::format("decode   {} after {} tokens by {}; reading {:.0f} MB a token alone allows {:.1f}\n",
                        speed(p.decode_seconds, 1), options.depth, p.decode_kernel, megabytes(p.bytes_read_per_token),
                        limit);
  }
  if (!p.prompt_seconds.empty()) {
    text += fmt::format("prompt   {} for {} tokens by {}\n", speed(p.prompt_seconds, options.prompt_tokens),
                        options.prompt_tokens, p.prompt_kernel);
  }
  text += fmt::format("measured on random weights: {} of {} layers, {} of {} rows of the head\n", p.layers_measured,
                      shape.n_layers, p.head_rows_measured, shape.head == HeadKind::kNone ? 0 : shape.vocab_size);
  if (shape.scale_cols != 0) text += fmt::format("         with a scale for every {} weights\n", shape.scale_cols);
  if (!shape.confirmed) text += "note     not all sizes of this model were found in its own config.json\n";
  return text;
}

Json to_json(const ModelShape& shape, const Prediction& p, const PredictOptions& options) {
  const auto rate = [](const std::vector<double>& seconds, std::size_t n_tokens) {
    return seconds.empty() ? Json(nullptr) : Json(static_cast<double>(n_tokens) / spread_of(seconds).median);
  };
  return {{"shape", to_json(shape)},
          {"cpu", describe_machine().cpu},
          {"threads", p.threads},
          {"n_parameters", p.n_parameters},
          {"memory",
           {{"resident_bytes", p.resident_bytes},
            {"ternary_bytes", p.ternary_bytes},
            {"head_bytes", p.head_bytes},
            {"float_bytes", p.float_bytes},
            {"embedding_bytes", p.embedding_bytes},
            {"context", p.context},
            {"kv_bytes", p.kv_bytes}}},
          {"bytes_read_per_token", p.bytes_read_per_token},
          {"layers_measured", p.layers_measured},
          {"head_rows_measured", p.head_rows_measured},
          {"decode",
           {{"kernel", p.decode_kernel},
            {"depth", options.depth},
            {"tokens_per_s", rate(p.decode_seconds, 1)},
            {"seconds", p.decode_seconds},
            {"read_bytes_per_s", p.read_bytes_per_s}}},
          {"prompt",
           {{"kernel", p.prompt_kernel},
            {"tokens", options.prompt_tokens},
            {"tokens_per_s", rate(p.prompt_seconds, options.prompt_tokens)},
            {"seconds", p.prompt_seconds}}}};
}

std::size_t one_of(const std::vector<std::size_t>& list, std::size_t otherwise, const char* option) {
  if (list.size() > 1) throw Error(ErrorKind::kInvalidArgument, fmt::format("--predict: {}: expected one", option));
  return list.empty() ? otherwise : list.front();
}

}  // namespace

int predict_a_model(const BenchOptions& options) {
  if (options.predict == "list") return list_shapes(options.json);
  ModelShape shape = find_shape(options.predict);
  shape.scale_cols = options.scale_cols.value_or(shape.scale_cols);
  const InterruptGuard interrupt;
  PredictOptions predicting;
  predicting.prompt_tokens = one_of(options.prompt, std::min<std::size_t>(512, shape.context_length), "-p");
  predicting.depth = one_of(options.depths, 0, "-d");
  predicting.context = options.context == 0 ? kDefaultContext : options.context;
  predicting.threads = options.one_thread_count();
  predicting.kernel = options.kernel_or("auto");
  predicting.kv_type = options.kv_type();
  predicting.seconds = options.quick ? std::min(kQuickSeconds, options.seconds) : options.seconds;
  predicting.keep_going = [&] { return !interrupt.requested(); };
  const Prediction prediction = predict(shape, predicting);
  print(options.json ? to_line(to_json(shape, prediction, predicting)) : describe(shape, prediction, predicting));
  return interrupt.requested() ? InterruptGuard::status() : kSuccess;
}

}  // namespace tern::tools
