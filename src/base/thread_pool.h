#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace tern {

/// Cores that can do work of their own: physical ones that this process may run on.
[[nodiscard]] unsigned default_threads();

/// A fixed set of workers that run one job at a time together with the caller.
///
/// Workers spin for a few microseconds after a job, so that jobs in close succession start at once, and then sleep.
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

  /// Calls job(thread) for thread = 0 .. size()-1, thread 0 being the caller, and returns when all are done.
  /// The job must not throw.
  template <typename Job>
  void run(const Job& job) {
    dispatch([](const void* context, unsigned thread) { (*static_cast<const Job*>(context))(thread); }, &job);
  }

  /// Splits [0, n) into one contiguous part per thread, each a multiple of `unit` but for the last, and calls
  /// body(begin, end, thread) for every part that is not empty.
  template <typename Body>
  void parallel_for(std::size_t n, std::size_t unit, const Body& body) {
    const std::size_t n_units = (n + unit - 1) / unit;
    if (n_units <= 1 || n_threads_ == 1) {
      if (n > 0) body(std::size_t{0}, n, 0u);
      return;
    }
    run([&](unsigned thread) {
      const std::size_t begin = n_units * thread / n_threads_ * unit;
      const std::size_t end = n_units * (thread + 1) / n_threads_ * unit;
      if (begin < end) body(begin, end < n ? end : n, thread);
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
