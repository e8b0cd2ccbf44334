// tern inspect: what a model file holds, and what this machine can do with it.
#include <fmt/ranges.h>

#include <map>
#include <optional>

#include "tern/tern.h"
#include "tools/command.h"
#include "tools/json.h"
#include "tools/model_options.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr const char* kExamples = R"(Examples:
  tern inspect
  tern inspect model.gguf -c 2048 --kv f32
  tern inspect model.gguf --tensors
  tern inspect model.gguf --json | jq .memory

No weights are read, so this is quick for a file of any size.
)";

struct InspectOptions {
  ModelOptions model;
  ContextOptions context;
  bool tensors = false;
  bool metadata = false;
  bool json = false;
};

/// Tensors of one type.
struct TypeTotal {
  std::size_t tensors = 0;
  std::uint64_t weights = 0;
  std::uint64_t bytes = 0;
};

std::uint64_t count_weights(const TensorSummary& tensor) {
  std::uint64_t n = 1;
  for (const std::size_t extent : tensor.shape) n *= extent;
  return n;
}

std::map<std::string, TypeTotal> totals_by_type(const ModelSummary& model) {
  std::map<std::string, TypeTotal> totals;
  for (const TensorSummary& tensor : model.tensors) {
    TypeTotal& total = totals[tensor.type];
    total.tensors += 1;
    total.weights += count_weights(tensor);
    total.bytes += tensor.file_bytes;
  }
  return totals;
}

double bits_each(std::uint64_t bytes, std::uint64_t weights) {
  return weights == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
}

std::string megabytes(std::uint64_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

/// Bytes that running the model takes.
struct Memory {
  std::size_t context;    // tokens
  std::uint64_t weights;  // ternary, as the kernels want them, float, and the head
  std::uint64_t kv_cache;
  [[nodiscard]] std::uint64_t total() const { return weights + kv_cache; }
};

Memory memory_needed(const ModelSummary& model, const ContextOptions& options) {
  const std::size_t context = options.context == 0 ? model.context_length : options.context;
  std::uint64_t per_token = model.kv_bytes_per_token_f16;
  if (options.kv == "f32") per_token *= 2;
  // One byte instead of two, and a float for every key and value head.
  if (options.kv == "int8") per_token = per_token / 2 + 2 * sizeof(float) * model.n_layers * model.n_kv_heads;
  return {context, model.ternary_bytes + model.float_bytes + model.head_bytes, per_token * context};
}

/// The file's tokenizer, or why there is none.
struct TokenizerSummary {
  std::optional<Tokenizer> tokenizer;
  std::string error;
};

TokenizerSummary open_tokenizer(const ModelSummary& model, const InspectOptions& options) {
  TokenizerSummary summary;
  try {
    summary.tokenizer.emplace(Tokenizer::open(model.path, options.model.open.pre_rule));
  } catch (const Error& error) {
    summary.error = error.what();
  }
  return summary;
}

std::string line(std::string_view label, std::string_view value) {
  return value.empty() ? std::string() : fmt::format("{:<16}{}\n", label, one_line(value));
}

std::string describe_model(const ModelSummary& m) {
  std::string text = line("file", fmt::format("{} ({})", m.path.string(), megabytes(m.file_bytes)));
  text += line("architecture", m.architecture) + line("name", m.name) + line("license", m.license);
  text += line("parameters", fmt::format("{}, {} of them ternary", m.n_parameters, m.n_ternary_weights));
  text += line("shape", fmt::format("{} layers, width {}, feed-forward {}", m.n_layers, m.dim, m.ffn_dim));
  text += line("attention", fmt::format("{} heads of {}, {} for keys and values", m.n_heads, m.head_dim, m.n_kv_heads));
  text += line("context", fmt::format("{} tokens", m.context_length));
  text += line("vocabulary", fmt::format("{} rows, {} output head", m.vocab_size,
                                         m.embedding_only    ? "no"
                                         : m.tied_embeddings ? "tied"
                                                             : "own"));
  return text;
}

std::string describe_tokenizer(const TokenizerSummary& summary) {
  if (!summary.tokenizer) return line("tokenizer", "none: " + summary.error);
  const Tokenizer& t = *summary.tokenizer;
  const std::string rule = t.pre_rule().empty() ? "" : fmt::format(", rule {}", t.pre_rule());
  const auto id = [](std::optional<Token> token) { return token ? fmt::format("{}", *token) : std::string("none"); };
  return line("tokenizer",
              fmt::format("{}{}, {} tokens, BOS {}, EOS {}", t.kind(), rule, t.vocab_size(), id(t.bos()), id(t.eos())));
}

std::string describe_types(const ModelSummary& model) {
  std::string text;
  for (const auto& [type, total] : totals_by_type(model)) {
    text += line(text.empty() ? "tensors" : "",
                 fmt::format("{:<12} {:>5} tensors, {:>12} weights, {:.3f} bits each", type, total.tensors,
                             total.weights, bits_each(total.bytes, total.weights)));
  }
  return text;
}

std::string describe_memory(const ModelSummary& model, const Memory& memory) {
  return line("in memory", fmt::format("{} in all: weights {} (ternary at {:.3f} bits each), KV cache {} for {} tokens",
                                       megabytes(memory.total()), megabytes(memory.weights),
                                       bits_each(model.ternary_bytes, model.n_ternary_weights),
                                       megabytes(memory.kv_cache), memory.context)) +
         line("output head", fmt::format("{}, {}", model.head_type, megabytes(model.head_bytes))) +
         line("read per token", megabytes(model.bytes_read_per_token));
}

std::string describe_kernels(const ModelSummary& model) {
  std::string text = line("kernels", fmt::format("decode {}, prompt {}, float {}, head {}", model.decode_kernel,
                                                 model.prompt_kernel, model.float_kernel, model.head_kernel));
  for (const KernelStep& step : model.kernel_steps) {
    text += line("", fmt::format("from {:>3} tokens on: {} ({})", step.min_tokens, step.kernel, step.phase));
  }
  for (const KernelSummary& kernel : all_kernels()) {
    const std::string verdict = kernel.missing.empty() ? "runs here" : "needs " + kernel.missing;
    text += line("", fmt::format("{:<20} {:<12} {}", kernel.name, kernel.instruction_set, verdict));
  }
  return text;
}

std::string list_tensors(const ModelSummary& model) {
  std::string text = "\n";
  for (const TensorSummary& tensor : model.tensors) {
    text += fmt::format("{:<12} {:>12} bytes  ({})  {}\n", tensor.type, tensor.file_bytes,
                        fmt::join(tensor.shape, ", "), one_line(tensor.name));
  }
  return text;
}

Json kernels_to_json(const ModelSummary& model) {
  Json available = Json::array();
  for (const KernelSummary& kernel : all_kernels()) {
    available.push_back({{"name", kernel.name},
                         {"family", kernel.family},
                         {"instruction_set", kernel.instruction_set},
                         {"missing", kernel.missing}});
  }
  Json steps = Json::array();
  for (const KernelStep& step : model.kernel_steps) {
    steps.push_back({{"min_tokens", step.min_tokens}, {"kernel", step.kernel}, {"phase", step.phase}});
  }
  return {{"decode", model.decode_kernel}, {"prompt", model.prompt_kernel}, {"steps", steps},
          {"float", model.float_kernel},   {"head", model.head_kernel},     {"available", available}};
}

Json tensors_to_json(const ModelSummary& model, bool all) {
  Json types = Json::object();
  for (const auto& [type, total] : totals_by_type(model)) {
    types[type] = {{"tensors", total.tensors}, {"weights", total.weights}, {"bytes", total.bytes}};
  }
  Json json = {{"types", types}};
  if (!all) return json;
  json["list"] = Json::array();
  for (const TensorSummary& tensor : model.tensors) {
    json["list"].push_back(
        {{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}, {"bytes", tensor.file_bytes}});
  }
  return json;
}

Json tokenizer_to_json(const TokenizerSummary& summary) {
  if (!summary.tokenizer) return {{"error", summary.error}};
  const Tokenizer& t = *summary.tokenizer;
  Json json = {{"kind", t.kind()}, {"pre_rule", t.pre_rule()}, {"tokens", t.vocab_size()}};
  if (t.bos()) json["bos"] = *t.bos();
  if (t.eos()) json["eos"] = *t.eos();
  return json;
}

Json to_json(const ModelSummary& m, const TokenizerSummary& tokenizer, const Memory& memory, bool all_tensors) {
  return {{"file", m.path.string()},
          {"file_bytes", m.file_bytes},
          {"architecture", m.architecture},
          {"name", m.name},
          {"license", m.license},
          {"n_parameters", m.n_parameters},
          {"n_ternary_weights", m.n_ternary_weights},
          {"n_layers", m.n_layers},
          {"dim", m.dim},
          {"ffn_dim", m.ffn_dim},
          {"n_heads", m.n_heads},
          {"n_kv_heads", m.n_kv_heads},
          {"head_dim", m.head_dim},
          {"context_length", m.context_length},
          {"vocab_size", m.vocab_size},
          {"tied_embeddings", m.tied_embeddings},
          {"embedding_only", m.embedding_only},
          {"tokenizer", tokenizer_to_json(tokenizer)},
          {"tensors", tensors_to_json(m, all_tensors)},
          {"memory",
           {{"context", memory.context},
            {"weight_bytes", memory.weights},
            {"head_type", m.head_type},
            {"head_bytes", m.head_bytes},
            {"kv_bytes", memory.kv_cache},
            {"total_bytes", memory.total()},
            {"ternary_bits_per_weight", bits_each(m.ternary_bytes, m.n_ternary_weights)},
            {"bytes_read_per_token", m.bytes_read_per_token}}},
          {"kernels", kernels_to_json(m)},
          {"notes", m.notes}};
}

int print_metadata(const std::string& path, bool json) {
  Json object = Json::object();
  std::string text;
  for (const MetadataEntry& entry : read_metadata(path)) {
    object[entry.key] = entry.value;
    text += fmt::format("{} ({}) = {}\n", entry.key, entry.type, entry.value);
  }
  print(json ? to_line(object) : text);
  return kSuccess;
}

int run(const InspectOptions& options) {
  const std::string path = options.model.resolved_path();
  if (options.metadata) return print_metadata(path, options.json);
  const ModelSummary model = inspect(path, options.model.open_options());
  const TokenizerSummary tokenizer = open_tokenizer(model, options);
  const Memory memory = memory_needed(model, options.context);
  if (options.json) {
    print(to_line(to_json(model, tokenizer, memory, options.tensors)));
    return kSuccess;
  }
  std::string text = describe_model(model) + describe_tokenizer(tokenizer) + describe_types(model) +
                     describe_memory(model, memory) + describe_kernels(model);
  if (options.tensors) text += list_tensors(model);
  print(text);
  for (const std::string& note : model.notes) print_note(note);
  return kSuccess;
}

}  // namespace

Action declare_inspect(Command& cli) {
  const auto options = std::make_shared<InspectOptions>();
  cli.footer(kExamples);
  options->model.declare_file(cli, "-m,--model,model");
  options->context.declare_memory(cli);
  options->model.declare_kernels(cli);
  cli.flag("--tensors", options->tensors, "List every tensor too");
  cli.flag("--metadata", options->metadata, "List the file's keys instead");
  cli.flag("--json", options->json, "Print one JSON object");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
