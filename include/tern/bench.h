#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "tern/model.h"

namespace tern {

/// Ternary layers that share an input, such as query, key and value, as they occur in a model.
struct LayerGroup {
  std::vector<std::size_t> rows;  ///< outputs of each layer
  std::size_t cols = 0;           ///< inputs, the same for all
  std::size_t count = 0;          ///< how often the group occurs
  std::size_t scale_cols = 0;     ///< inputs that share a scale, a divisor of cols; 0: one scale for all
};

/// The ternary layers of a model, equal groups together.
[[nodiscard]] std::vector<LayerGroup> ternary_layers(const ModelSummary& model);

struct KernelBenchOptions {
  /// Weights to multiply with. What does not fit in half a gigabyte is made of fewer of the same groups.
  std::vector<LayerGroup> layers;
  std::vector<std::size_t> tokens = {1, 4, 16, 128, 512};
  /// "all" kernels that can run here, a family, or one kernel.
  std::string kernel = "all";
  /// 0 = physical cores.
  unsigned threads = 0;
  /// Length of one measurement, in seconds, at least three passes.
  double seconds = 0.5;
  /// Asked between passes; false ends the benchmark.
  std::function<bool()> keep_going = {};
};

/// One phase of one kernel with one number of tokens; medians over passes.
struct KernelTiming {
  std::string kernel;
  std::string family;
  std::string instruction_set;
  std::string layout;
  double bits_per_weight = 0.0;
  std::string phase;  ///< "decode" or "prompt"
  std::size_t tokens = 0;
  unsigned threads = 0;
  double seconds = 0.0;          ///< of one pass over all layers
  double gweights_per_s = 0.0;   ///< 10^9 weights read per second
  double gmacs_per_s = 0.0;      ///< 10^9 weights times tokens per second
  double gbytes_per_s = 0.0;     ///< packed weights read, 10^9 bytes per second
  double share_of_stream = 0.0;  ///< of the speed of only reading the same bytes, taken in turns; 0 when not measured
  std::string peak_instruction;  ///< the instruction that the kernel lives by; empty when unknown
  double share_of_peak = 0.0;    ///< of what that instruction alone would allow on all threads
};

/// Measures ternary layers as a model computes them: quantizing the input, preparing it for the kernel, the product,
/// and scaling the result. Weights are random bytes, on which the time does not depend.
///
/// Hands out every result as soon as it is there.
/// Errors    Error: kInvalidArgument (kernel unknown or not for this machine; no layers; memory)
void bench_kernels(const KernelBenchOptions& options, const std::function<void(const KernelTiming&)>& on_timing);

}  // namespace tern
