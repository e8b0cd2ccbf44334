#include "src/base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "src/base/check.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace tern {
namespace {

/// About 50 us on a 3 GHz processor: longer than the serial work between two jobs of a forward pass.
constexpr int kSpinsBeforeSleep = 2000;

constexpr unsigned kMaxThreads = 1024;

void pause_briefly() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/// Waits until `word` differs from `old`: first spinning, then asleep.
std::uint32_t wait_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t old) noexcept {
  for (int spin = 0; spin < kSpinsBeforeSleep; ++spin) {
    const std::uint32_t now = word.load(std::memory_order_acquire);
    if (now != old) return now;
    pause_briefly();
  }
  word.wait(old, std::memory_order_acquire);
  return word.load(std::memory_order_acquire);
}

/// The lowest-numbered hardware thread of the core that `cpu` belongs to: the same number for all its siblings.
int core_of(int cpu) {
  const std::filesystem::path topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology";
  std::ifstream siblings(topology / "thread_siblings_list");  // "0,4" or "0-1"
  int first = cpu;
  return siblings >> first ? first : cpu;
}

}  // namespace

unsigned default_threads() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return std::max(1u, std::thread::hardware_concurrency());
  std::set<int> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cores.insert(core_of(cpu));
  }
  return std::max<unsigned>(1, static_cast<unsigned>(cores.size()));
}

struct ThreadPool::Shared {
  Entry entry = nullptr;
  const void* context = nullptr;
  bool stop = false;
  std::atomic<std::uint32_t> job{0};      // counts jobs; a change starts the workers
  std::atomic<std::uint32_t> running{0};  // workers that have not finished the present job
  std::vector<std::thread> workers;

  /// Ends the workers, of which there may be fewer than planned.
  void finish() {
    stop = true;
    job.fetch_add(1, std::memory_order_release);
    job.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  void work(unsigned thread) {
    std::uint32_t seen = 0;
    while (true) {
      seen = wait_for_change(job, seen);
      if (stop) return;
      entry(context, thread);
      if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) running.notify_one();
    }
  }
};

ThreadPool::ThreadPool(unsigned n_threads)
    : shared_(std::make_unique<Shared>()), n_threads_(n_threads == 0 ? default_threads() : n_threads) {
  if (n_threads_ > kMaxThreads) {
    fail(ErrorKind::kInvalidArgument, "{} threads: expected at most {}", n_threads_, kMaxThreads);
  }
  shared_->workers.reserve(n_threads_ - 1);
  try {
    for (unsigned thread = 1; thread < n_threads_; ++thread) {
      shared_->workers.emplace_back([shared = shared_.get(), thread] { shared->work(thread); });
    }
  } catch (const std::system_error& error) {
    shared_->finish();
    fail(ErrorKind::kInvalidArgument, "{} threads: the system gives only {}: {}", n_threads_,
         shared_->workers.size() + 1, error.what());
  }
}

ThreadPool::~ThreadPool() { shared_->finish(); }

void ThreadPool::dispatch(Entry entry, const void* context) {
  if (n_threads_ > 1) {
    shared_->entry = entry;
    shared_->context = context;
    shared_->running.store(n_threads_ - 1, std::memory_order_relaxed);
    shared_->job.fetch_add(1, std::memory_order_release);
    shared_->job.notify_all();
  }
  entry(context, 0);
  std::uint32_t left = shared_->running.load(std::memory_order_acquire);
  while (left != 0) left = wait_for_change(shared_->running, left);
}

}  // namespace tern
