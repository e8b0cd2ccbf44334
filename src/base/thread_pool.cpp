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
#include "src/base/cpu_quota.h"

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
  // More threads than the quota are stopped in the middle of their work, and everyone waits for them.
  const double granted = cpu_quota().value_or(static_cast<double>(cores.size()));
  return static_cast<unsigned>(std::clamp(granted, 1.0, std::max(1.0, static_cast<double>(cores.size()))));
}

// --- shares -----------------------------------------------------------------------------------------------------

namespace {

constexpr std::uint64_t pack(std::uint64_t begin, std::uint64_t end) { return begin << 32U | end; }
constexpr std::uint64_t begin_of(std::uint64_t share) { return share >> 32U; }
constexpr std::uint64_t end_of(std::uint64_t share) { return share & 0xFFFFFFFFU; }

}  // namespace

WorkShares::WorkShares(std::size_t n_units, unsigned n_threads)
    : allocated_(n_threads > kInline ? std::make_unique<Share[]>(n_threads) : nullptr),
      shares_(allocated_ ? allocated_.get() : inline_),
      n_threads_(n_threads) {
  TERN_DCHECK(n_units <= 0xFFFFFFFFU);
  for (std::size_t t = 0; t < n_threads; ++t) {
    shares_[t].left.store(pack(n_units * t / n_threads, n_units * (t + 1) / n_threads), std::memory_order_relaxed);
  }
}

/// Takes a quarter of what is left of a share, so that calls are few and others find something to take.
bool WorkShares::take_front(Share& share, std::size_t& begin, std::size_t& end) {
  std::uint64_t left = share.left.load(std::memory_order_relaxed);
  while (begin_of(left) < end_of(left)) {
    const std::uint64_t n = (end_of(left) - begin_of(left) + 3) / 4;
    if (share.left.compare_exchange_weak(left, pack(begin_of(left) + n, end_of(left)), std::memory_order_relaxed)) {
      begin = begin_of(left);
      end = begin + n;
      return true;
    }
  }
  return false;
}

/// Moves the second half of another thread's share to this one's, which is empty.
bool WorkShares::steal(unsigned thread) {
  for (unsigned i = 1; i < n_threads_; ++i) {
    Share& victim = shares_[(thread + i) % n_threads_];
    std::uint64_t left = victim.left.load(std::memory_order_relaxed);
    while (begin_of(left) < end_of(left)) {
      const std::uint64_t middle = end_of(left) - (end_of(left) - begin_of(left) + 1) / 2;
      if (victim.left.compare_exchange_weak(left, pack(begin_of(left), middle), std::memory_order_relaxed)) {
        // No thief mistakes this for a share seen before: these units were in no share of this thread's.
        shares_[thread].left.store(pack(middle, end_of(left)), std::memory_order_relaxed);
        return true;
      }
    }
  }
  return false;
}

bool WorkShares::take(unsigned thread, std::size_t& begin, std::size_t& end) {
  while (!take_front(shares_[thread], begin, end)) {
    if (!steal(thread)) return false;
  }
  return true;
}

// --- pool -------------------------------------------------------------------------------------------------------

struct ThreadPool::Shared {
  static constexpr std::uint32_t kClosed = 1U << 31U;

  Entry entry = nullptr;
  const void* context = nullptr;
  std::atomic<bool> stop{false};
  alignas(64) std::atomic<std::uint32_t> job{0};         // counts jobs; a change wakes the workers
  alignas(64) std::atomic<std::uint32_t> gate{kClosed};  // workers that take part; closed when none may join any more
  std::vector<std::thread> workers;

  /// Ends the workers, of which there may be fewer than planned.
  void finish() {
    stop.store(true, std::memory_order_relaxed);
    job.fetch_add(1, std::memory_order_release);
    job.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  /// Joins the present job, unless it is over.
  bool enter() noexcept {
    std::uint32_t inside = gate.load(std::memory_order_relaxed);
    while ((inside & kClosed) == 0) {
      if (gate.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }

  void leave() noexcept {
    if (gate.fetch_sub(1, std::memory_order_release) == (kClosed | 1U)) gate.notify_one();
  }

  void work(unsigned thread) {
    std::uint32_t seen = 0;
    while (true) {
      seen = wait_for_change(job, seen);
      if (stop.load(std::memory_order_relaxed)) return;
      if (!enter()) continue;
      entry(context, thread);
      leave();
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
  if (n_threads_ == 1) {
    entry(context, 0);
    return;
  }
  shared_->entry = entry;
  shared_->context = context;
  shared_->gate.store(0, std::memory_order_release);
  shared_->job.fetch_add(1, std::memory_order_release);
  shared_->job.notify_all();
  entry(context, 0);
  std::uint32_t inside = shared_->gate.fetch_or(Shared::kClosed, std::memory_order_acq_rel) | Shared::kClosed;
  while (inside != Shared::kClosed) inside = wait_for_change(shared_->gate, inside);
}

}  // namespace tern
