#include "src/engine/limits.h"

#include <atomic>
#include <chrono>
#include <cstring>

#include "kernels/dispatch.h"

namespace tern::engine {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t word_at(const std::uint8_t* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

const kernels::Peak* find_best_peak() {
  const kernels::Peak* best = nullptr;
  double best_rate = 0.0;
  for (const kernels::TernaryKernel* kernel : kernels::runnable_ternary_kernels(kernels::usable_isa())) {
    // Additions stand for a multiply-add each in the add/subtract-only family, but are not the machine's peak.
    if (kernel->family != kernels::Family::kDot) continue;
    const kernels::Peak* peak = kernels::peak_of(*kernel, true);
    if (peak == nullptr || peak == best) continue;
    const double rate = peak_rate(*peak);
    if (rate > best_rate) {
      best = peak;
      best_rate = rate;
    }
  }
  return best;
}

}  // namespace

std::uint64_t read_all(ThreadPool& pool, std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kRuns = 8;                   // side by side: the memory delivers them sooner than one
  constexpr std::size_t kPiece = kRuns * 32 * 1024;  // bytes
  constexpr std::size_t kLine = 64;  // bytes that memory delivers at once: a word of each brings them all
  std::atomic<std::uint64_t> total{0};
  pool.parallel_for(bytes.size(), kPiece, [&](std::size_t begin, std::size_t end, unsigned) {
    std::uint64_t sum = 0;
    const std::size_t length = (end - begin) / kRuns / kLine * kLine;  // of a run; the last bytes are few
    for (std::size_t i = 0; i < length; i += kLine) {
#pragma GCC unroll 8
      for (std::size_t run = 0; run < kRuns; ++run) sum += word_at(bytes.data() + begin + run * length + i);
    }
    total += sum;
  });
  return total;
}

double peak_rate(const kernels::Peak& peak) {
  constexpr double kEnough = 5e-3;  // seconds
  peak.run(1000);
  for (std::size_t n = 1000;; n *= 2) {
    const auto start = Clock::now();
    peak.run(n);
    const double seconds = seconds_since(start);
    if (seconds > kEnough) return static_cast<double>(n * peak.per_call) * peak.macs / seconds;
  }
}

double peak_rate(const kernels::Peak& peak, ThreadPool& pool) {
  constexpr double kPart = 1e-4;           // seconds of one piece of work
  constexpr std::size_t kPartsEach = 100;  // for a thread
  const double calls_per_s = peak_rate(peak) / (static_cast<double>(peak.per_call) * peak.macs);
  const auto n_calls = static_cast<std::size_t>(calls_per_s * kPart) + 1;
  const std::size_t n_parts = kPartsEach * pool.size();
  const auto start = Clock::now();
  pool.parallel_for(n_parts, 1,
                    [&](std::size_t begin, std::size_t end, unsigned) { peak.run(n_calls * (end - begin)); });
  return static_cast<double>(n_parts * n_calls * peak.per_call) * peak.macs / seconds_since(start);
}

const kernels::Peak* best_peak() {
  static const kernels::Peak* const best = find_best_peak();
  return best;
}

}  // namespace tern::engine
