#include "src/engine/tuning.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "kernels/cpu_features.h"
#include "kernels/dispatch.h"
#include "src/base/fnv1a.h"
#include "src/engine/random_layer.h"
#include "tern/machine.h"
#include "tern/version.h"

namespace tern::engine {
namespace {

namespace fs = std::filesystem;

/// What is known about this machine: seconds by "KERNEL/PHASE/TOKENS", with "/block-COLUMNS" where blocks have scales.
using Measurements = std::map<std::string, double>;

// --- measuring --------------------------------------------------------------------------------------------------

/// The size of blocks that stands for others: those with scales of their own have 64, 128 or 256 columns.
std::size_t measured_scale_cols(std::size_t scale_cols) {
  return scale_cols == 0 ? 0 : std::bit_floor(std::clamp<std::size_t>(scale_cols, 64, 256));
}

/// Times products of a made-up layer of a size that caches near a core do not hold.
class ProductTimer {
 public:
  ProductTimer(unsigned n_threads, std::size_t scale_cols) : pool_(n_threads), scale_cols_(scale_cols) {}

  double operator()(const kernels::TernaryKernel& kernel, const kernels::TernaryRoutine& routine,
                    std::size_t n_tokens) {
    const std::size_t rows = std::clamp<std::size_t>(kSums / n_tokens, kLeastRows, kMostRows);
    layers_.reserve(packed_bytes(*kernel.layout, {kMostRows, kCols, scale_cols_}));
    const nn::Linear layer = layers_.make(*kernel.layout, {rows, kCols, scale_cols_});
    std::vector<float> x(n_tokens * kCols);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 255) - 127.0f;
    std::vector<float> y(n_tokens * rows);
    const nn::Projection projection[] = {{&layer, {y.data(), n_tokens, rows}}};
    kernels::Choice choice = kernels::choose("auto", kernels::usable_isa());
    choice.steps = {{1, &kernel, &routine}};
    const nn::Compute compute{pool_, choice, *choice.floats, work_};
    double best = INFINITY;
    for (int i = 0; i < kRuns; ++i) {
      const auto start = std::chrono::steady_clock::now();
      nn::project(compute, {x.data(), n_tokens, kCols}, projection);
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
  }

 private:
  static constexpr std::size_t kCols = 2560;                  // whole blocks of all sizes that are measured
  static constexpr std::size_t kSums = std::size_t{1} << 19;  // rows times tokens: a few milliseconds each
  static constexpr std::size_t kLeastRows = 2048;
  static constexpr std::size_t kMostRows = 32768;  // 16 to 21 MB of weights
  static constexpr int kRuns = 4;                  // the first one warms up

  ThreadPool pool_;
  std::size_t scale_cols_;
  nn::Workspace work_;
  RandomLayers layers_;
};

// --- remembering ------------------------------------------------------------------------------------------------

#ifdef TERN_DCHECKS
constexpr const char* kBuild = "checked ";  // checks slow some kernels down, and not all alike
#else
constexpr const char* kBuild = "";
#endif

/// First line of the file, and a key of what is kept in memory.
std::string machine_key(unsigned n_threads) {
  return fmt::format("tern {} {}kernels, {} threads, {}", TERN_VERSION, kBuild, n_threads, kernels::cpu_name());
}

fs::path cache_file(const std::string& key) {
  const fs::path directory = cache_directory();
  if (directory.empty()) return {};
  return directory / fmt::format("kernels-{:016x}.txt", fnv1a(std::as_bytes(std::span(key))));
}

/// Nothing when there is no such file or when it is not what write_file() writes.
Measurements read_file(const std::string& key) {
  constexpr std::size_t kMostLines = 1000;
  Measurements found;
  std::ifstream file(cache_file(key));
  std::string line;
  if (!std::getline(file, line) || line != key) return {};
  std::string name;
  for (double seconds = 0.0; found.size() < kMostLines && file >> name >> seconds;) {
    if (!(seconds > 0.0 && seconds < 1000.0)) return {};
    found[name] = seconds;
  }
  return found;
}

/// Does nothing when the file cannot be written.
void write_file(const std::string& key, const Measurements& measurements) {
  const fs::path path = cache_file(key);
  if (path.empty()) return;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  const fs::path draft = path.string() + fmt::format(".{}", getpid());  // others may write at the same time
  {
    std::ofstream file(draft);
    file << key << '\n';
    for (const auto& [name, seconds] : measurements) file << fmt::format("{} {:.9f}\n", name, seconds);
    if (!file.flush()) {
      fs::remove(draft, error);
      return;
    }
  }
  fs::rename(draft, path, error);
}

}  // namespace

kernels::Choice choose_kernels(const KernelRequest& request) {
  static std::mutex mutex;
  static std::map<std::string, Measurements> known;  // by machine_key()
  const kernels::Isa isa = kernels::usable_isa();
  const std::size_t scale_cols = measured_scale_cols(request.scale_cols);
  const unsigned n_threads = request.threads == 0 ? default_threads() : request.threads;

  const std::lock_guard lock(mutex);
  const std::string key = machine_key(n_threads);
  Measurements& measurements = known.try_emplace(key).first->second;
  if (measurements.empty()) measurements = read_file(key);
  const std::size_t n_known = measurements.size();
  std::optional<ProductTimer> timer;
  const auto measured = [&](const kernels::TernaryKernel& kernel, const kernels::TernaryRoutine& routine,
                            std::size_t n_tokens) {
    const std::string_view phase = &routine == &kernel.decode ? "decode" : "prompt";
    const std::string blocks = scale_cols == 0 ? "" : fmt::format("/block-{}", scale_cols);
    const std::string name = fmt::format("{}/{}/{}{}", kernel.name, phase, n_tokens, blocks);
    const auto found = measurements.find(name);
    if (found != measurements.end()) return found->second;
    if (!timer) timer.emplace(n_threads, scale_cols);
    return measurements[name] = (*timer)(kernel, routine, n_tokens);
  };
  kernels::Choice choice = kernels::choose(request.kernel, isa, measured, request.layout);
  if (measurements.size() > n_known) write_file(key, measurements);
  return choice;
}

}  // namespace tern::engine
