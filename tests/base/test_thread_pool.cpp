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

/// Comes back when all threads have met there.
void meet(std::atomic<unsigned>& n_here, unsigned n_threads) {
  n_here.fetch_add(1);
  while (n_here < n_threads) std::this_thread::yield();
}

TEST_P(ThreadPools, RunsTheJobOnEveryThread) {
  EXPECT_EQ(pool_.size(), GetParam());
  std::vector<std::atomic<int>> calls(GetParam());
  std::atomic<unsigned> n_here = 0;
  std::mutex mutex;
  std::set<std::thread::id> ids;
  pool_.run([&](unsigned thread) {
    if (calls[thread].fetch_add(1) > 0) return;
    {
      const std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
    }
    meet(n_here, GetParam());
  });
  for (const auto& count : calls) EXPECT_GE(count, 1);
  EXPECT_EQ(ids.size(), GetParam());
  EXPECT_TRUE(ids.contains(std::this_thread::get_id()));
}

TEST_P(ThreadPools, RunsThousandsOfTinyJobsInOrder) {
  constexpr int kJobs = 5000;
  std::vector<int> latest(16, -1);  // written by whoever takes the unit, read by all after every job
  for (int job = 0; job < kJobs; ++job) {
    pool_.parallel_for(latest.size(), 1, [&](std::size_t begin, std::size_t end, unsigned) {
      for (std::size_t i = begin; i < end; ++i) latest[i] = latest[i] == job - 1 ? job : -2;
    });
    for (const int value : latest) ASSERT_EQ(value, job);
  }
}

TEST_P(ThreadPools, WakesWorkersThatFellAsleep) {
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // far longer than workers spin
    std::atomic<unsigned> n_here = 0;
    std::vector<std::atomic<bool>> came(GetParam());
    pool_.run([&](unsigned thread) {
      if (!came[thread].exchange(true)) meet(n_here, GetParam());  // would never end if one of them slept on
    });
    ASSERT_EQ(n_here, GetParam());
  }
}

TEST_P(ThreadPools, WaitsForTheSlowestThread) {
  std::atomic<unsigned> n_here = 0;
  std::atomic<unsigned> n_done = 0;
  std::vector<std::atomic<bool>> came(GetParam());
  pool_.run([&](unsigned thread) {
    if (came[thread].exchange(true)) return;
    meet(n_here, GetParam());
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

TEST_P(ThreadPools, OthersTakeTheWorkOfAThreadThatIsHeldUp) {
  if (GetParam() == 1) GTEST_SKIP() << "there are no others";
  const std::size_t n = 64 * std::size_t{GetParam()};
  std::atomic<std::size_t> n_done = 0;
  // Whoever gets the first unit waits until everything else is done but what it holds itself.
  pool_.parallel_for(n, 1, [&](std::size_t begin, std::size_t end, unsigned) {
    if (begin == 0) {
      while (n_done < n - end) std::this_thread::yield();
    }
    n_done += end - begin;
  });
  EXPECT_EQ(n_done, n);
}

TEST(WorkShares, GiveNeighbouringUnitsToOneThreadFirst) {
  WorkShares shares(80, 2);
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t expected = 40;  // the second thread's half, from its beginning on
  while (expected < 80) {
    ASSERT_TRUE(shares.take(1, begin, end));
    EXPECT_EQ(begin, expected);
    expected = end;
  }
  ASSERT_TRUE(shares.take(1, begin, end)) << "then the other's last units";
  EXPECT_EQ(begin, 20u);
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
  // A limit on memory makes threads fail to start half way. In a child, since limits cannot be taken back.
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
