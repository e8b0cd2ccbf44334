#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>

#include "kernels/cpu_features.h"
#include "kernels/dispatch.h"
#include "src/base/check.h"
#include "src/base/huge_buffer.h"
#include "src/base/thread_pool.h"
#include "src/engine/energy.h"
#include "src/engine/limits.h"
#include "tern/bench_model.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

/// A line of /proc/meminfo, in bytes; 0 when it is not there.
std::uint64_t memory_line(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  for (std::uint64_t kibibytes = 0; file >> key >> kibibytes; std::getline(file, unit)) {
    if (key == name + ":") return kibibytes * 1024;
  }
  return 0;
}

/// The largest cache of the first processor, in bytes; 0 when the system does not say.
std::uint64_t last_level_cache() {
  std::uint64_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");  // "32768K"
    std::uint64_t size = 0;
    char unit = '\0';
    if (file >> size) largest = std::max(largest, size * (file >> unit && unit == 'K' ? 1024u : 1u));
  }
  return largest;
}

}  // namespace

MachineDescription describe_machine() {
  return {.cpu = kernels::cpu_name(),
          .instruction_set = std::string(kernels::to_string(kernels::usable_isa())),
          .cores = default_threads(),
          .processors = static_cast<unsigned>(std::max(0L, ::sysconf(_SC_NPROCESSORS_ONLN))),
          .memory_bytes = memory_line("MemTotal"),
          .available_bytes = memory_line("MemAvailable"),
          .last_level_cache_bytes = last_level_cache(),
          .energy = engine::EnergyMeter().description()};
}

MachineLimits measure_limits(std::uint64_t bytes, unsigned threads, std::size_t repetitions,
                             const std::function<bool()>& keep_going) {
  if (bytes == 0) fail(ErrorKind::kInvalidArgument, "no memory to read");
  HugeBuffer memory(bytes);
  std::memset(memory.span().data(), 1, memory.span().size());  // pages that nobody wrote are all one page
  ThreadPool pool(threads);
  MachineLimits limits{.threads = pool.size(), .read_bytes = bytes, .read_bytes_per_s = {}, .int8_instruction = {}};
  const kernels::Peak* peak = engine::best_peak();
  if (peak != nullptr) limits.int8_instruction = peak->instruction;
  static_cast<void>(engine::read_all(pool, memory.span()));  // warms up
  for (std::size_t i = 0; i < repetitions; ++i) {
    if (keep_going && !keep_going()) break;
    const auto start = Clock::now();
    static_cast<void>(engine::read_all(pool, memory.span()));  // its atomic sum keeps the reads
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    limits.read_bytes_per_s.push_back(static_cast<double>(bytes) / std::max(seconds, 1e-9));
    if (peak != nullptr) limits.int8_macs_per_s.push_back(engine::peak_rate(*peak, pool));
  }
  return limits;
}

}  // namespace tern
