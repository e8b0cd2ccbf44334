// tern bench --kernels: every ternary kernel against memory and processor.
#include <fmt/format.h>

#include "tools/bench.h"
#include "tools/interrupt.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

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

}  // namespace

int bench_all_kernels(const BenchOptions& options) {
  KernelBenchOptions bench;
  bench.kernel = options.kernel_or("all");
  bench.threads = options.one_thread_count();
  bench.seconds = options.quick ? 0.1 : options.seconds;
  if (!options.tokens.empty()) bench.tokens = options.tokens;
  bench.layers = options.model.path.empty() ? bitnet_2b_4t()
                                            : ternary_layers(inspect(options.model.path, options.model.open_options()));
  for (LayerGroup& group : bench.layers) group.scale_cols = options.scale_cols.value_or(group.scale_cols);
  const InterruptGuard interrupt;
  bench.keep_going = [&] { return !interrupt.requested(); };
  bool has_heading = options.json;  // printed with the first result: a mistake leaves standard output empty
  bench_kernels(bench, [&](const KernelTiming& timing) {
    if (!has_heading) print(kHeading);
    has_heading = true;
    print(options.json ? to_line(to_json(timing)) : describe(timing));
  });
  return interrupt.requested() ? InterruptGuard::status() : kSuccess;
}

}  // namespace tern::tools
