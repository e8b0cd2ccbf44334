// tern bench: prompt and decode speed of a model, against what the machine allows.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "tools/bench.h"
#include "tools/bench_report.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr std::size_t kQuickRepetitions = 3;
constexpr std::size_t kMostMemoryRepetitions = 5;    // the limits of each point are measured in all rounds
constexpr std::uint64_t kLeastMemory = 256'000'000;  // bytes to read, when caches are small
constexpr std::uint64_t kMostMemory = 1'000'000'000;

/// More bytes than caches hold, as far as there is memory.
std::uint64_t bytes_to_read(const MachineDescription& machine) {
  const std::uint64_t wanted = std::clamp(4 * machine.last_level_cache_bytes, kLeastMemory, kMostMemory);
  return machine.available_bytes == 0 ? wanted : std::clamp<std::uint64_t>(machine.available_bytes / 4, 1, wanted);
}

/// What the command line leaves open is chosen so that it fits in the model's context.
ModelBenchOptions complete(const BenchOptions& o, const ModelSummary& model, const MachineDescription& machine) {
  ModelBenchOptions bench;
  if (!o.depths.empty()) bench.depths = o.depths;
  if (!o.texts.empty()) bench.texts = o.texts;
  const std::size_t deepest = *std::ranges::max_element(bench.depths);
  const std::size_t room = deepest < model.context_length ? model.context_length - deepest : 1;
  bench.prompt_tokens = o.prompt;
  if (o.prompt.empty()) bench.prompt_tokens = {std::min<std::size_t>(o.quick ? 128 : 512, room)};
  std::erase(bench.prompt_tokens, std::size_t{0});
  bench.generated_tokens = o.generate.value_or(std::min<std::size_t>(o.quick ? 16 : 32, room));
  bench.threads = !o.threads.empty() ? o.threads : o.quick ? std::vector{0u} : doubling_threads(machine.cores);
  bench.repetitions = o.quick ? std::min(o.repetitions, kQuickRepetitions) : o.repetitions;
  bench.warm_up = o.warm_up;
  bench.kv_type = o.kv_type();
  return bench;
}

std::vector<MachineLimits> measure_memory(const BenchOptions& options, const MachineDescription& machine,
                                          const std::vector<unsigned>& threads, const InterruptGuard& interrupt) {
  const std::size_t most = options.quick ? kQuickRepetitions : kMostMemoryRepetitions;
  const std::size_t repetitions = std::min(options.repetitions, most);
  Progress progress("memory", false);
  std::vector<MachineLimits> list;
  for (const unsigned n : threads) {
    progress.update(static_cast<double>(list.size()) / static_cast<double>(threads.size()));
    if (interrupt.requested()) break;
    list.push_back(measure_limits(bytes_to_read(machine), n, repetitions, [&] { return !interrupt.requested(); }));
  }
  return list;
}

void write_file(const std::string& path, const std::string& text) {
  OutputFile file(path);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

}  // namespace

int bench_a_model(const BenchOptions& options) {
  if (!options.html.empty()) check_output(options.html, {options.model.resolved_path()});
  ModelOptions which = options.model;
  which.open.kernel = options.kernel_or("auto");
  if (options.threads.size() == 1) which.open.threads = options.threads.front();  // kernels are chosen for them
  const auto model = which.load(false);
  BenchReport report{.version = TERN_VERSION,
                     .machine = describe_machine(),
                     .memory = {},
                     .model = describe_benched(model->summary(), options.kv_type()),
                     .benchmark = {}};
  ModelBenchOptions bench = complete(options, model->summary(), report.machine);

  const InterruptGuard interrupt;
  report.memory = measure_memory(options, report.machine, bench.threads, interrupt);
  {
    Progress progress("measuring", false);
    bench.on_progress = [&](double share) {
      progress.update(share);
      return !interrupt.requested();
    };
    report.benchmark = bench_model(model, bench);
  }
  if (report.benchmark.points.empty()) return InterruptGuard::status();  // stopped before there was a figure
  if (!options.html.empty()) write_file(options.html, to_html(report));
  print(options.json       ? to_line(to_json(report))
        : options.csv      ? to_csv(report)
        : options.markdown ? to_markdown(report)
                           : to_table(report));
  return interrupt.requested() ? InterruptGuard::status() : kSuccess;
}

}  // namespace tern::tools
