#include "src/base/thread_pool.h"
#include "tern/error.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace tern {
namespace {

class ThreadPools : public testing::TestWithParam<unsigned> {
 protected:
  ThreadPool pool_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPools, testing::Values(1, 2, 3, 4, 5), testing::PrintToStringParamName());

TEST_P(ThreadPools, RunsTheJobOnceOnEveryThread) {
  EXPECT_EQ(pool_.size(), GetParam());
  std::vector<std::atomic<int>> calls(GetParam());
  std::mutex mutex;
  std::set<std::thread::id> ids;
  pool_.run([&](unsigned thread) {
    calls[thread].fetch_add(1);
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  for (const auto& count : calls) EXPECT_EQ(count, 1);
  EXPECT_EQ(ids.size(), GetParam());
  EXPECT_TRUE(ids.contains(std::this_thread::get_id()));
}

TEST_P(ThreadPools, RunsThousandsOfTinyJobsInOrder) {
  constexpr int kJobs = 5000;
  std::vector<int> last(GetParam(), -1);  // written by one thread each, read by all after every job
  for (int job = 0; job < kJobs; ++job) {
    pool_.run([&](unsigned thread) { last[thread] = last[thread] == job - 1 ? job : -2; });
    for (const int value : last) ASSERT_EQ(value, job);
  }
}

TEST_P(ThreadPools, WakesWorkersThatFellAsleep) {
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // far longer than workers spin
    std::atomic<unsigned> n_threads = 0;
    pool_.run([&](unsigned) { n_threads.fetch_add(1); });
    ASSERT_EQ(n_threads, GetParam());
  }
}

TEST_P(ThreadPools, WaitsForTheSlowestThread) {
  std::atomic<unsigned> n_done = 0;
  pool_.run([&](unsigned thread) {
    if (thread + 1 == GetParam()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    n_done.fetch_add(1);
  });
  EXPECT_EQ(n_done, GetParam());
}

TEST_P(ThreadPools, ParallelForCoversEveryIndexOnce) {
  for (const std::size_t unit : {1u, 3u, 16u}) {
    for (std::size_t n = 0; n < 70; ++n) {
      std::vector<std::atomic<int>> calls(n);
      std::atomic<bool> aligned = true;
      std::atomic<unsigned> highest_thread = 0;
      pool_.parallel_for(n, unit, [&](std::size_t begin, std::size_t end, unsigned thread) {
        if (begin >= end || end > n || begin % unit != 0 || (end % unit != 0 && end != n)) aligned = false;
        if (thread > highest_thread) highest_thread = thread;
        for (std::size_t i = begin; i < end; ++i) calls[i].fetch_add(1);
      });
      for (const auto& count : calls) ASSERT_EQ(count, 1) << n << " in units of " << unit;
      ASSERT_TRUE(aligned) << n << " in units of " << unit;
      ASSERT_LT(highest_thread, GetParam());
    }
  }
}

TEST_P(ThreadPools, ParallelForSharesTheWorkEvenly) {
  const std::size_t n = 7 * GetParam();
  std::vector<std::size_t> shares(GetParam());
  pool_.parallel_for(n, 1, [&](std::size_t begin, std::size_t end, unsigned thread) { shares[thread] += end - begin; });
  EXPECT_EQ(shares, std::vector<std::size_t>(GetParam(), 7));
}

TEST(ThreadPool, CountsTheCores) {
  const unsigned n = default_threads();
  EXPECT_GE(n, 1u);
  EXPECT_LE(n, std::max(1u, std::thread::hardware_concurrency()));
  EXPECT_EQ(ThreadPool(0).size(), n);
}

TEST(ThreadPool, RefusesMoreThreadsThanTheSystemGives) {
  EXPECT_THROW(ThreadPool(1u << 20), Error);
#ifndef TERN_SANITIZED  // sanitizers reserve terabytes, which such a limit forbids
  // A limit on memory makes threads fail to start half way. In a child, since limits can not be taken back.
  const ::pid_t child = ::fork();
  if (child == 0) {
    const ::rlimit limit{std::size_t{1} << 30, std::size_t{1} << 30};  // bytes; a stack is 8 MB
    static_cast<void>(::setrlimit(RLIMIT_AS, &limit));
    try {
      const ThreadPool pool(1000);
      ::_exit(1);
    } catch (const Error&) {
      ::_exit(0);
    }
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
#endif
}

}  // namespace
}  // namespace tern
