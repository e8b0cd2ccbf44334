#include "tern/doctor.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "src/base/check.h"
#include "src/base/cpu_quota.h"
#include "src/base/fnv1a.h"
#include "src/base/mapped_files.h"
#include "src/engine/log_probabilities.h"
#include "src/engine/model_source.h"
#include "src/engine/self_test.h"
#include "tern/bench_model.h"
#include "tern/kernel_ready.h"
#include "tern/machine.h"
#include "tern/session.h"

namespace tern {
namespace {

constexpr double kMegabyte = 1e6;  // bytes

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / kMegabyte; }

// --- the machine ------------------------------------------------------------------------------------------------

Finding examine_instruction_sets(const MachineDescription& machine) {
  std::string kernels;
  for (const KernelSummary& kernel : all_kernels()) {
    if (kernel.missing.empty()) kernels += (kernels.empty() ? "" : ", ") + kernel.name;
  }
  const bool only_reference = kernels == "reference";
  return {"instructions", only_reference ? Health::kRemark : Health::kGood,
          fmt::format("up to {}: {}{}", machine.instruction_set, kernels,
                      only_reference ? "; nothing faster runs here" : "")};
}

/// Processors that this process may run on, and those that there are.
Finding examine_threads(const MachineDescription& machine, const SystemFiles& files) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const bool known = ::sched_getaffinity(0, sizeof allowed, &allowed) == 0;
  const auto n_allowed = known ? static_cast<unsigned>(CPU_COUNT(&allowed)) : machine.processors;
  std::string text = fmt::format("{} by default, on {} of {} processors", machine.cores, n_allowed, machine.processors);
  bool limited = n_allowed < machine.processors;
  if (limited) text += " (this process may use no others)";
  if (const auto quota = cpu_quota(files.cgroup_membership, files.cgroup_root); quota && *quota < n_allowed) {
    limited = true;
    text += fmt::format("; a control group grants the time of {:.1f}", *quota);
    if (*quota < 1.0) text += ": even one thread is stopped now and then";
  }
  return {"threads", limited ? Health::kRemark : Health::kGood, text};
}

Finding examine_huge_pages(const SystemFiles& files) {
  std::string line;
  std::getline(std::ifstream(files.huge_pages), line);
  if (line.empty()) return {"huge pages", Health::kRemark, "the system does not say whether weights can lie in them"};
  const std::size_t begin = line.find('[');
  const std::size_t end = line.find(']');
  const bool marked = begin != std::string::npos && end != std::string::npos && begin < end;
  const std::string mode = marked ? line.substr(begin + 1, end - begin - 1) : line;
  if (mode != "never") return {"huge pages", Health::kGood, mode};
  return {"huge pages", Health::kRemark,
          fmt::format("never: weights lie in small ones; as root: echo madvise > {}", files.huge_pages.string())};
}

// --- kernels ----------------------------------------------------------------------------------------------------

Finding judge(std::string topic, const std::optional<engine::Mismatch>& mismatch, std::string_view equal_to) {
  if (!mismatch) return {std::move(topic), Health::kGood, fmt::format("equal to {}", equal_to)};
  return {std::move(topic), Health::kFault,
          fmt::format("{}: expected {}, found {}", mismatch->where, mismatch->expected, mismatch->found)};
}

Finding judge(std::string topic, std::uint64_t found, std::uint64_t expected) {
  if (found == expected) return {std::move(topic), Health::kGood, fmt::format("{:016x}", found)};
  return {std::move(topic), Health::kFault, fmt::format("expected {:016x}, found {:016x}", expected, found)};
}

// --- a model ----------------------------------------------------------------------------------------------------

constexpr std::string_view kPlainEnglish =
    "The sun rises in the east and sets in the west. When it is cold, water turns into ice. A dog has four legs and a "
    "tail, and it likes to run. Once upon a time, there was a little girl who lived with her mother in a small house.";

/// What a model loses on plain English, in nats a token: the logarithm of the vocabulary's size when it only guesses.
double nats_per_token(const std::shared_ptr<const Model>& model) {
  const std::vector<Token> tokens = model->tokenizer().encode(kPlainEnglish, {.add_special = true});
  Session session(model, {.context = tokens.size(), .kv_type = KvType::kF16});
  double lost = 0.0;
  session.evaluate_all(tokens, [&](std::size_t i, std::span<const float> logits) {
    if (i + 1 < tokens.size()) lost -= engine::log_probabilities(logits, tokens[i + 1], 0).logprob;
  });
  return lost / static_cast<double>(std::max<std::size_t>(2, tokens.size()) - 1);
}

bool has_i2s(const ModelSummary& model) {
  return std::ranges::any_of(model.tensors, [](const TensorSummary& tensor) { return tensor.type == "I2_S"; });
}

constexpr double kClearlyBetter = 1.0;  // nats a token
constexpr double kGuessing = 0.9;       // of the logarithm of the vocabulary's size

Finding examine_text(const Model& model, double nats) {
  const double guessing = std::log(static_cast<double>(model.summary().vocab_size));
  const std::string text =
      fmt::format("{:.2f} nats a token on plain English, {:.2f} would be guessing", nats, guessing);
  if (std::isfinite(nats) && nats < kGuessing * guessing) return {"text", Health::kGood, text};
  return {"text", Health::kRemark, text + ": random weights, another language, or a file that is read wrongly"};
}

/// A file of I2_S codes does not say how they lie: the other way is tried too.
Finding examine_i2s_layout(const std::filesystem::path& path, OpenOptions options, double nats) {
  const bool is_64 = options.i2s_layout == I2sLayout::k64;
  options.i2s_layout = is_64 ? I2sLayout::k128 : I2sLayout::k64;
  const double other = nats_per_token(Model::open(path, options));
  const std::string text =
      fmt::format("blocks of {}: {:.2f} nats a token; of {}: {:.2f}", is_64 ? 64 : 128, nats, is_64 ? 128 : 64, other);
  if (other < nats - kClearlyBetter) {
    return {"I2_S layout", Health::kFault, fmt::format("{}; use --i2s-layout {}", text, is_64 ? 128 : 64)};
  }
  if (nats < other - kClearlyBetter) return {"I2_S layout", Health::kGood, text};
  return {"I2_S layout", Health::kRemark, text + ": cannot be told apart"};
}

Finding examine_memory(const ModelSummary& model) {
  const std::uint64_t weights = model.ternary_bytes + model.float_bytes + model.head_bytes;
  const std::uint64_t cache = model.kv_bytes_per_token_f16 * model.context_length;
  const std::uint64_t available = describe_machine().available_bytes;
  const std::string text =
      fmt::format("weights {:.0f} MB, KV cache {:.0f} MB for {} tokens; {:.0f} MB available", megabytes(weights),
                  megabytes(cache), model.context_length, megabytes(available));
  const bool fits = available == 0 || weights + cache <= available;
  return {"memory", fits ? Health::kGood : Health::kRemark, fits ? text : text + ": take a shorter context with -c"};
}

Finding examine_speed(const ModelSummary& model, unsigned threads) {
  constexpr std::uint64_t kBytes = 128 * 1024 * 1024;  // more than most caches hold
  const MachineLimits limits = measure_limits(kBytes, threads, 5);
  const double best = *std::ranges::max_element(limits.read_bytes_per_s);
  return {"speed", Health::kGood,
          fmt::format("a token reads {:.0f} MB, memory gives {:.1f} GB/s: at most {:.0f} tokens/s",
                      megabytes(model.bytes_read_per_token), best * 1e-9,
                      best / static_cast<double>(model.bytes_read_per_token))};
}

/// Opening a kernel-ready file reads none of its weights.
Finding examine_checksums(const std::filesystem::path& path) {
  try {
    verify_kernel_ready(path);
    return {"checksums", Health::kGood, "of every tensor as written"};
  } catch (const Error& error) {
    return {"checksums", Health::kFault, error.what()};
  }
}

std::vector<Finding> examine_open_model(const std::shared_ptr<const Model>& model, const OpenOptions& options) {
  const ModelSummary& m = model->summary();
  std::vector<Finding> findings;
  findings.push_back({"file", Health::kGood,
                      fmt::format("{}, {:.0f} MB, {} parameters, {} of them ternary", m.architecture,
                                  megabytes(m.file_bytes), m.n_parameters, m.n_ternary_weights)});
  findings.push_back({"kernels", Health::kGood,
                      fmt::format("decode {}, prompt {}, head {}", m.decode_kernel, m.prompt_kernel, m.head_kernel)});
  if (is_kernel_ready(m.path)) findings.push_back(examine_checksums(m.path));
  findings.push_back(examine_memory(m));
  findings.push_back(examine_speed(m, options.threads));
  for (const std::string& note : m.notes) findings.push_back({"model", Health::kRemark, note});
  const double nats = nats_per_token(model);
  findings.push_back(examine_text(*model, nats));
  if (has_i2s(m)) findings.push_back(examine_i2s_layout(m.path, options, nats));
  return findings;
}

/// Of the bytes of a model's files, one after the other.
std::uint64_t hash_files(const std::filesystem::path& path) {
  MappedFiles files;
  static_cast<void>(engine::open_source(path, files));
  WordHash hash;
  for (const MappedFile& file : files) hash.add(file.bytes());
  return hash.value();
}

/// What does not work is what was to be found out.
template <typename Examine>
std::vector<Finding> or_fault(const std::string& topic, const Examine& examine) {
  try {
    return examine();
  } catch (const Error& error) {
    return {{topic, Health::kFault, error.what()}};
  }
}

}  // namespace

std::vector<Finding> examine_machine(const SystemFiles& files) {
  const MachineDescription machine = describe_machine();
  return {{"cpu", Health::kGood, machine.cpu},
          examine_instruction_sets(machine),
          examine_threads(machine, files),
          {"memory", Health::kGood,
           fmt::format("{:.0f} MB, {:.0f} MB of it available", megabytes(machine.memory_bytes),
                       megabytes(machine.available_bytes))},
          examine_huge_pages(files)};
}

std::vector<Finding> examine_kernels(const std::function<void(double)>& on_progress) {
  const kernels::Isa isa = kernels::usable_isa();
  const auto ternary = kernels::runnable_ternary_kernels(isa);
  const auto heads = kernels::runnable_head_kernels(isa);
  const auto floats = kernels::runnable_float_kernels(isa);
  const auto n_all = static_cast<double>(ternary.size() + heads.size() + floats.size());
  std::vector<Finding> findings;
  const auto add = [&](const char* name, const std::optional<engine::Mismatch>& mismatch, const char* equal_to) {
    findings.push_back(judge(fmt::format("kernel {}", name), mismatch, equal_to));
    if (on_progress) on_progress(static_cast<double>(findings.size()) / n_all);
  };
  for (const auto* kernel : ternary) add(kernel->name, engine::find_mismatch(*kernel), "the reference");
  for (const auto* head : heads) add(head->name, engine::find_mismatch(*head), "plain C++");
  for (const auto* table : floats) add(table->name, engine::find_mismatch(*table), "plain C++");
  return findings;
}

Fingerprint fingerprint_of(const std::filesystem::path& path, const OpenOptions& options) {
  constexpr std::size_t kPrompt = 77;  // tokens: enough for every way to multiply
  const auto model = Model::open(path, options);
  std::vector<Token> tokens(kPrompt + 1);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<Token>((i + 1) % model->summary().vocab_size);
  }
  Session session(model, {.context = tokens.size(), .kv_type = KvType::kF16});
  session.evaluate(std::span(tokens).first(kPrompt));
  session.evaluate(std::span(tokens).last(1));
  return {hash_files(path), session.stats().logits_hash};
}

std::vector<Finding> examine_fingerprint(const std::filesystem::path& path, const Fingerprint& expected) {
  return or_fault("logits", [&] {
    std::vector<Finding> findings;
    Fingerprint found;
    for (const auto* kernel : kernels::runnable_ternary_kernels(kernels::usable_isa())) {
      found = fingerprint_of(path, {.kernel = kernel->name});
      findings.push_back(judge(fmt::format("logits {}", kernel->name), found.logits, expected.logits));
    }
    findings.push_back(judge("file", found.file, expected.file));
    return findings;
  });
}

std::vector<Finding> examine_model(const std::filesystem::path& path, const OpenOptions& options) {
  return or_fault("file", [&] { return examine_open_model(Model::open(path, options), options); });
}

}  // namespace tern
