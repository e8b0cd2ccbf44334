// tern bench: how fast this machine is.
#include <fmt/format.h>

#include "tern/tern.h"
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/json.h"
#include "tools/model_options.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr const char* kExamples = R"(Examples:
  tern bench --kernels
  tern bench --kernels -m model.gguf --kernel addsub --tokens 1,512
  tern bench --kernels --json | jq 'select(.phase == "decode") | {kernel, gweights_per_s}'

Every kernel that can run here multiplies the ternary layers of a model (without
-m: the shape of BitNet b1.58 2B-4T) with one token or more at a time.
  Gw/s    10^9 weights read per second
  GMAC/s  10^9 weights times tokens per second
  stream  share of the speed of only reading the same bytes, measured in turns
  peak    share of what the kernel's chief instruction alone would allow
)";

struct BenchOptions {
  ModelOptions model;
  KernelBenchOptions bench;
  bool kernels = false;
  bool json = false;
};

/// The ternary layers of BitNet b1.58 2B-4T, 2.084e9 weights.
/// Source    https://huggingface.co/microsoft/bitnet-b1.58-2B-4T, config.json
std::vector<LayerGroup> bitnet_2b_4t() {
  constexpr std::size_t kLayers = 30, kDim = 2560, kKvDim = 640, kFfnDim = 6912;
  return {{{kDim, kKvDim, kKvDim}, kDim, kLayers},
          {{kDim}, kDim, kLayers},
          {{kFfnDim, kFfnDim}, kDim, kLayers},
          {{kDim}, kFfnDim, kLayers}};
}

constexpr const char* kHeading = "kernel              phase   tokens   Gw/s   GMAC/s    GB/s  stream  peak  (of)\n";

std::string describe(const KernelTiming& t) {
  const auto percent = [](double share) {
    return share > 0.0 ? fmt::format("{:.0f} %", 100.0 * share) : std::string("-");
  };
  return fmt::format("{:<19} {:<6} {:>7} {:>6.1f} {:>8.1f} {:>7.1f} {:>7} {:>5}  {}\n", t.kernel, t.phase, t.tokens,
                     t.gweights_per_s, t.gmacs_per_s, t.gbytes_per_s, percent(t.share_of_stream),
                     percent(t.share_of_peak), t.peak_instruction);
}

Json to_json(const KernelTiming& t) {
  const auto known = [](double share) { return share > 0.0 ? Json(share) : Json(nullptr); };
  return {{"kernel", t.kernel},
          {"family", t.family},
          {"instruction_set", t.instruction_set},
          {"layout", t.layout},
          {"bits_per_weight", t.bits_per_weight},
          {"phase", t.phase},
          {"tokens", t.tokens},
          {"threads", t.threads},
          {"seconds", t.seconds},
          {"gweights_per_s", t.gweights_per_s},
          {"gmacs_per_s", t.gmacs_per_s},
          {"gbytes_per_s", t.gbytes_per_s},
          {"share_of_stream", known(t.share_of_stream)},
          {"peak_instruction", t.peak_instruction},
          {"share_of_peak", known(t.share_of_peak)}};
}

int run(BenchOptions options) {
  if (!options.kernels) throw Error(ErrorKind::kInvalidArgument, "bench: say what to measure: --kernels");
  options.bench.layers = options.model.path.empty()
                             ? bitnet_2b_4t()
                             : ternary_layers(inspect(options.model.path, options.model.open_options()));
  const InterruptGuard interrupt;
  options.bench.keep_going = [&] { return !interrupt.requested(); };
  bool has_heading = options.json;  // printed with the first result: a mistake leaves standard output empty
  bench_kernels(options.bench, [&](const KernelTiming& timing) {
    if (!has_heading) print(kHeading);
    has_heading = true;
    print(options.json ? to_line(to_json(timing)) : describe(timing));
  });
  return interrupt.requested() ? kInterrupted : kSuccess;
}

}  // namespace

Action declare_bench(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  app.footer(kExamples);
  app.add_flag("--kernels", options->kernels, "Measure the ternary kernels");
  app.add_option("-m,--model", options->model.path, "Measure with the layers of this GGUF file")->type_name("FILE");
  app.add_option("--tokens", options->bench.tokens, "Numbers of tokens multiplied together, with commas between them")
      ->delimiter(',')
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 16))
      ->type_name("LIST")
      ->default_str("1,4,16,128,512");
  app.add_option("--kernel", options->bench.kernel, "all, addsub, dot, reference, or a kernel's name")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("-t,--threads", options->bench.threads, "Threads; 0 = physical cores")
      ->check(CLI::Range(0u, 1024u))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--seconds", options->bench.seconds, "Length of one measurement")
      ->check(CLI::Range(0.0, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  app.add_flag("--json", options->json, "Print one JSON object a line");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
