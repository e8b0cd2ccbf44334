#include "tern/bench.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>

#include "kernels/choice.h"
#include "kernels/dispatch.h"
#include "kernels/peak.h"
#include "src/base/check.h"
#include "src/engine/limits.h"
#include "src/engine/random_layer.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;
using engine::peak_rate;
using engine::RandomLayers;
using engine::read_all;
using kernels::TernaryKernel;
using kernels::TernaryRoutine;

constexpr double kMostBytes = 600e6;           // of weights
constexpr double kMostMacs = 40e9;             // of a pass: a fraction of a second at 100 GMAC/s
constexpr std::size_t kMostStreamTokens = 16;  // with more of them memory does not matter
constexpr std::size_t kLeastPasses = 3;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::size_t weights_of(const LayerGroup& group) {
  return std::accumulate(group.rows.begin(), group.rows.end(), std::size_t{0}) * group.cols;
}

engine::LayerShape shape_of(const LayerGroup& group, std::size_t rows) { return {rows, group.cols, group.scale_cols}; }

/// The groups, fewer times each if all of them together have more than `most` weights.
std::vector<LayerGroup> reduced(std::vector<LayerGroup> layers, double most) {
  double total = 0.0;
  for (const LayerGroup& group : layers) total += static_cast<double>(weights_of(group) * group.count);
  for (LayerGroup& group : layers) {
    const double count = static_cast<double>(group.count) * std::min(1.0, most / total);
    group.count = std::max<std::size_t>(1, static_cast<std::size_t>(count));
  }
  return layers;
}

/// Layers in one layout, one group after the other in the order in which a model uses them.
class LayerSet {
 public:
  LayerSet(RandomLayers& memory, const kernels::TernaryLayout& layout, const std::vector<LayerGroup>& groups) {
    for_each_use(groups, [&](const LayerGroup& group) {
      for (const std::size_t rows : group.rows) bytes_ += engine::packed_bytes(layout, shape_of(group, rows));
      n_weights_ += weights_of(group);
      widest_ = std::max(widest_, group.cols);
      highest_ = std::max(highest_, std::accumulate(group.rows.begin(), group.rows.end(), std::size_t{0}));
    });
    memory.reserve(bytes_);
    for_each_use(groups, [&](const LayerGroup& group) {
      std::vector<nn::Linear>& made = groups_.emplace_back();
      for (const std::size_t rows : group.rows) made.push_back(memory.make(layout, shape_of(group, rows)));
    });
    stream_ = memory.used();
  }

  /// One pass over all layers. x: (n_tokens, widest), y: (n_tokens, highest)
  void multiply(const nn::Compute& compute, std::size_t n_tokens, float* x, float* y) const {
    for (const std::vector<nn::Linear>& group : groups_) {
      std::vector<nn::Projection> projections;
      float* to = y;
      for (const nn::Linear& layer : group) {
        projections.push_back({&layer, {to, n_tokens, layer.rows}});
        to += n_tokens * layer.rows;
      }
      nn::project(compute, {x, n_tokens, group.front().cols}, projections);
    }
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t n_weights() const noexcept { return n_weights_; }
  [[nodiscard]] std::size_t widest() const noexcept { return widest_; }
  [[nodiscard]] std::size_t highest() const noexcept { return highest_; }
  [[nodiscard]] std::span<const std::uint8_t> stream() const noexcept { return stream_; }

 private:
  template <typename Body>
  static void for_each_use(const std::vector<LayerGroup>& groups, const Body& body) {
    std::size_t most = 0;
    for (const LayerGroup& group : groups) most = std::max(most, group.count);
    for (std::size_t i = 0; i < most; ++i) {
      for (const LayerGroup& group : groups) {
        if (i < group.count) body(group);
      }
    }
  }

  std::vector<std::vector<nn::Linear>> groups_;
  std::size_t bytes_ = 0;
  std::size_t n_weights_ = 0;
  std::size_t widest_ = 0;   // columns
  std::size_t highest_ = 0;  // rows of a group
  std::span<const std::uint8_t> stream_;
};

class KernelBench {
 public:
  KernelBench(const KernelBenchOptions& options, const std::function<void(const KernelTiming&)>& on_timing)
      : options_(options), on_timing_(on_timing), pool_(options.threads) {}

  void run() {
    for (const TernaryKernel* kernel : wanted()) {
      for (const bool prompt : {false, true}) {
        const TernaryRoutine& routine = prompt ? kernel->prompt : kernel->decode;
        if (routine.multiply == nullptr) continue;
        for (const std::size_t n_tokens : options_.tokens) {
          if (!is_meant_for(*kernel, prompt, n_tokens)) continue;
          if (!measure(*kernel, prompt, n_tokens)) return;
        }
      }
    }
  }

 private:
  [[nodiscard]] std::vector<const TernaryKernel*> wanted() const {
    std::vector<const TernaryKernel*> found = kernels::runnable_ternary_kernels(kernels::usable_isa());
    if (options_.kernel == "all") return found;
    static_cast<void>(kernels::choose(options_.kernel, kernels::usable_isa()));  // throws what is to be said
    std::erase_if(found, [&](const TernaryKernel* kernel) {
      return options_.kernel != kernel->name && options_.kernel != kernels::to_string(kernel->family);
    });
    return found;
  }

  /// Decode routines are for few tokens; the others are not for one, unless there is nothing else.
  static bool is_meant_for(const TernaryKernel& kernel, bool prompt, std::size_t n_tokens) {
    return prompt ? n_tokens >= 4 : n_tokens <= 16 || kernel.prompt.multiply == nullptr;
  }

  bool measure(const TernaryKernel& kernel, bool prompt, std::size_t n_tokens) {
    const double most_weights =
        std::min(kMostBytes * 8 / kernel.layout->bits_per_weight, kMostMacs / static_cast<double>(n_tokens));
    const LayerSet layers(memory_, *kernel.layout, reduced(options_.layers, most_weights));
    std::vector<float> x(n_tokens * layers.widest());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 255) - 127.0f;
    std::vector<float> y(n_tokens * layers.highest());
    kernels::Choice choice = kernels::choose("auto", kernels::usable_isa());
    choice.steps = {{1, &kernel, prompt ? &kernel.prompt : &kernel.decode}};
    const nn::Compute compute{pool_, choice, *choice.floats, work_};

    std::vector<double> passes, streams;
    layers.multiply(compute, n_tokens, x.data(), y.data());  // warms up
    const auto begin = Clock::now();
    while (passes.size() < kLeastPasses || seconds_since(begin) < options_.seconds) {
      if (options_.keep_going && !options_.keep_going()) return false;
      auto start = Clock::now();
      layers.multiply(compute, n_tokens, x.data(), y.data());
      passes.push_back(seconds_since(start));
      if (n_tokens > kMostStreamTokens) continue;
      start = Clock::now();
      checksum_ += read_all(pool_, layers.stream());
      streams.push_back(passes.back() == 0.0 ? 0.0 : seconds_since(start) / passes.back());
    }
    report(kernel, prompt, n_tokens, layers, median(passes), streams.empty() ? 0.0 : median(streams));
    return true;
  }

  void report(const TernaryKernel& kernel, bool prompt, std::size_t n_tokens, const LayerSet& layers, double seconds,
              double share_of_stream) {
    KernelTiming timing{.kernel = kernel.name,
                        .family = std::string(kernels::to_string(kernel.family)),
                        .instruction_set = std::string(kernels::to_string(kernel.isa)),
                        .layout = kernel.layout->name,
                        .bits_per_weight = kernel.layout->bits_per_weight,
                        .phase = prompt ? "prompt" : "decode",
                        .tokens = n_tokens,
                        .threads = pool_.size(),
                        .seconds = seconds,
                        .gweights_per_s = static_cast<double>(layers.n_weights()) / seconds * 1e-9,
                        .gbytes_per_s = static_cast<double>(layers.bytes()) / seconds * 1e-9,
                        .share_of_stream = share_of_stream,
                        .peak_instruction = ""};
    timing.gmacs_per_s = timing.gweights_per_s * static_cast<double>(n_tokens);
    if (const kernels::Peak* peak = kernels::peak_of(kernel, prompt)) {
      timing.peak_instruction = peak->instruction;
      timing.share_of_peak = timing.gmacs_per_s * 1e9 / (peak_rate(*peak) * pool_.size());
    }
    on_timing_(timing);
  }

  const KernelBenchOptions& options_;
  const std::function<void(const KernelTiming&)>& on_timing_;
  ThreadPool pool_;
  nn::Workspace work_;
  RandomLayers memory_;
  std::uint64_t checksum_ = 0;
};

/// "blk.3.attn_q.weight" as "blk.3" and "attn_q".
std::pair<std::string_view, std::string_view> split_name(std::string_view name) {
  const std::size_t suffix = name.rfind('.');
  const std::string_view stem = name.substr(0, suffix == std::string_view::npos ? name.size() : suffix);
  const std::size_t dot = stem.rfind('.');
  return dot == std::string_view::npos ? std::pair{std::string_view(), stem}
                                       : std::pair{stem.substr(0, dot), stem.substr(dot + 1)};
}

/// Layers that read the same activations have the same key.
std::string group_key(const TensorSummary& tensor) {
  const auto [block, layer] = split_name(tensor.name);
  if (layer == "attn_q" || layer == "attn_k" || layer == "attn_v") return std::string(block) + ".qkv";
  if (layer == "ffn_gate" || layer == "ffn_up") return std::string(block) + ".gate_up";
  return tensor.name;
}

}  // namespace

std::vector<LayerGroup> ternary_layers(const ModelSummary& model) {
  std::vector<std::string> order;
  std::map<std::string, LayerGroup> by_key;
  for (const TensorSummary& tensor : model.tensors) {
    if (!tensor.ternary || tensor.shape.size() != 2) continue;
    const auto [entry, is_new] = by_key.try_emplace(group_key(tensor));
    if (is_new) order.push_back(entry->first);
    entry->second.rows.push_back(tensor.shape[0]);
    entry->second.cols = tensor.shape[1];
    if (model.scale_cols != 0 && tensor.shape[1] % model.scale_cols == 0) entry->second.scale_cols = model.scale_cols;
  }
  std::vector<LayerGroup> groups;
  for (const std::string& key : order) {
    LayerGroup& group = by_key[key];
    const auto same = std::ranges::find_if(
        groups, [&](const LayerGroup& other) { return other.rows == group.rows && other.cols == group.cols; });
    if (same == groups.end()) {
      groups.push_back({group.rows, group.cols, 1, group.scale_cols});
    } else {
      same->count += 1;
    }
  }
  return groups;
}

void bench_kernels(const KernelBenchOptions& options, const std::function<void(const KernelTiming&)>& on_timing) {
  for (const LayerGroup& group : options.layers) {
    const auto fits = [](std::size_t n) { return n > 0 && n <= kernels::kMaxCols; };
    if (group.rows.empty() || !std::ranges::all_of(group.rows, fits) || !fits(group.cols) || !fits(group.count)) {
      fail(ErrorKind::kInvalidArgument, "a layer to measure: expected 1 to {} rows and columns, found {} columns",
           kernels::kMaxCols, group.cols);
    }
    if (group.scale_cols != 0 && group.cols % group.scale_cols != 0) {
      fail(ErrorKind::kInvalidArgument, "a layer to measure: expected a multiple of {} columns, found {}",
           group.scale_cols, group.cols);
    }
  }
  if (options.layers.empty()) fail(ErrorKind::kInvalidArgument, "no ternary layers to measure");
  if (options.tokens.empty() || std::ranges::count(options.tokens, std::size_t{0}) > 0) {
    fail(ErrorKind::kInvalidArgument, "numbers of tokens to measure: expected at least 1");
  }
  or_out_of_memory("these layers", [&] { KernelBench(options, on_timing).run(); });
}

}  // namespace tern
