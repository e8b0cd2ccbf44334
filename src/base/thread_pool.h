#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace tern {

/// Cores that can do work of their own: physical ones that this process may run on, and no more than the time that its
/// control group is granted.
[[nodiscard]] unsigned default_threads();

/// Work in units 0 .. n-1 that threads take as they go: each begins with a share of its own, and whoever is done takes
/// half of what another one has left. So fast and slow cores finish together, neighbouring units mostly go to the same
/// thread, and a thread that never comes is not missed.
class WorkShares {
 public:
  WorkShares(std::size_t n_units, unsigned n_threads);

  /// Takes some units for `thread`; false when none are left.
  [[nodiscard]] bool take(unsigned thread, std::size_t& begin, std::size_t& end);

 private:
  /// Units [begin, end) that are left of a share, in one word: begin in the upper half.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> left{0};
  };
  [[nodiscard]] bool take_front(Share& share, std::size_t& begin, std::size_t& end);
  [[nodiscard]] bool steal(unsigned thread);

  static constexpr unsigned kInline = 16;  // threads whose shares need no allocation
  Share inline_[kInline];
  std::unique_ptr<Share[]> allocated_;
  Share* shares_;
  unsigned n_threads_;
};

/// Workers that take part in one job at a time together with the caller.
///
/// Workers spin for some microseconds after a job, so that jobs in close succession start at once, and then sleep. A
/// job does not wait for workers that were too late to take part, so that a busy machine costs no more than their help.
/// Threads   one caller at a time
class ThreadPool {
 public:
  /// `n_threads` counts the caller; 0 = default_threads().
  /// Errors    Error(kInvalidArgument): more threads than 1024, or than the system gives
  explicit ThreadPool(unsigned n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] unsigned size() const noexcept { return n_threads_; }

  /// Calls job(thread) on the caller, as thread 0, and on those workers that come before the caller's call returns;
  /// returns when all of these are done. So whoever comes must take from what is left, and the caller's call must not
  /// return before nothing is. The job must not throw; a worker may be called twice.
  template <typename Job>
  void run(const Job& job) {
    dispatch([](const void* context, unsigned thread) { (*static_cast<const Job*>(context))(thread); }, &job);
  }

  /// Splits [0, n) into runs of whole units, but for the last, and calls body(begin, end, thread) for every run, from
  /// several threads at once and several times from each.
  template <typename Body>
  void parallel_for(std::size_t n, std::size_t unit, const Body& body) {
    const std::size_t n_units = (n + unit - 1) / unit;
    if (n_units <= 1 || n_threads_ == 1) {
      if (n > 0) body(std::size_t{0}, n, 0u);
      return;
    }
    WorkShares shares(n_units, n_threads_);
    run([&](unsigned thread) {
      for (std::size_t begin = 0, end = 0; shares.take(thread, begin, end);) {
        body(begin * unit, end * unit < n ? end * unit : n, thread);
      }
    });
  }

 private:
  using Entry = void (*)(const void* context, unsigned thread);
  void dispatch(Entry entry, const void* context);

  struct Shared;
  std::unique_ptr<Shared> shared_;
  unsigned n_threads_;
};

}  // namespace tern
