#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "tern/model_cache.h"
#include "tests/engine/model_file.h"

/// Copies of models that are kept between runs.
namespace tern {
namespace {

namespace fs = std::filesystem;
using test::ModelFile;

class ModelCache : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory()); }
  void TearDown() override { fs::remove_all(directory()); }

  /// The same in processes that a test starts.
  [[nodiscard]] static const fs::path& directory() {
    static const fs::path path = fs::temp_directory_path() / ("tern-test-cache-" + std::to_string(::getpid()));
    return path;
  }
  [[nodiscard]] static CachedModel open(const fs::path& path, std::uint64_t max_bytes = std::uint64_t{1} << 30) {
    return open_cached(path, {.threads = 2}, {.directory = directory(), .max_bytes = max_bytes});
  }
  /// File names that end so.
  [[nodiscard]] static std::vector<fs::path> files(const std::string& suffix) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(directory())) {
      if (entry.path().extension() == suffix) found.push_back(entry.path());
    }
    return found;
  }
};

std::uint64_t hash_of(const std::shared_ptr<const Model>& model) {
  Session session(model, {.context = 16});
  session.evaluate(std::vector<Token>{1, 2, 3});
  return session.stats().logits_hash;
}

bool says(const CachedModel& cached, const std::string& words) { return cached.note.find(words) != std::string::npos; }

TEST_F(ModelCache, TheSecondRunOpensTheCopy) {
  const ModelFile source({.type = "TQ2_0"});
  const auto expected = source.open();
  const CachedModel first = open(source.path());
  const CachedModel second = open(source.path());
  EXPECT_TRUE(says(first, "made a kernel-ready copy")) << first.note;
  EXPECT_TRUE(says(second, "opened its kernel-ready copy")) << second.note;
  EXPECT_EQ(files(".gguf").size(), 1u);
  for (const auto& model : {first.model, second.model}) {
    EXPECT_EQ(hash_of(model), hash_of(expected));
    EXPECT_EQ(model->fingerprint(), expected->fingerprint());
  }
}

TEST_F(ModelCache, AChangedFileGetsACopyOfItsOwn) {
  const ModelFile source({.type = "TQ2_0"});
  std::ignore = open(source.path());
  const ModelFile other({.type = "TQ2_0", .seed = 2});
  fs::copy_file(other.path(), source.path(), fs::copy_options::overwrite_existing);
  const CachedModel changed = open(source.path());
  EXPECT_TRUE(says(changed, "made a kernel-ready copy")) << changed.note;
  EXPECT_EQ(hash_of(changed.model), hash_of(other.open()));
  EXPECT_EQ(files(".gguf").size(), 2u);
}

TEST_F(ModelCache, WhatWasNotUsedForLongestGoesFirst) {
  const ModelFile a({.type = "TQ2_0"}), b({.type = "TQ2_0", .seed = 2}), c({.type = "TQ2_0", .seed = 3});
  const CachedModel first = open(a.path());
  const std::uint64_t one = fs::file_size(files(".gguf").front());
  const std::uint64_t two = 2 * one + one / 2;
  std::ignore = open(b.path(), two);
  fs::last_write_time(files(".gguf").front(), fs::file_time_type::clock::now() - std::chrono::hours(1));
  fs::last_write_time(files(".gguf").back(), fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_TRUE(says(open(a.path(), two), "opened"));
  EXPECT_TRUE(says(open(c.path(), two), "made"));
  EXPECT_EQ(files(".gguf").size(), 2u);
  EXPECT_TRUE(says(open(a.path(), two), "opened"));
  EXPECT_TRUE(says(open(b.path(), two), "made")) << "it was the one to go";
  EXPECT_NE(hash_of(first.model), 0u) << "a model lives on when its copy goes";
  const CachedModel too_big = open(c.path(), one / 2);
  EXPECT_TRUE(says(too_big, "more than the")) << too_big.note;
  EXPECT_NE(hash_of(too_big.model), 0u);
}

TEST_F(ModelCache, ABrokenCopyIsMadeAgainAndDraftsGo) {
  const ModelFile source({.type = "TQ2_0"});
  std::ignore = open(source.path());
  fs::resize_file(files(".gguf").front(), 1000);
  std::ofstream(directory() / "0123.gguf.1.part") << "killed";
  EXPECT_TRUE(says(open(source.path()), "made a kernel-ready copy"));
  EXPECT_TRUE(says(open(source.path()), "opened its kernel-ready copy"));
  EXPECT_TRUE(files(".part").empty());
}

TEST_F(ModelCache, WithoutACopyTheModelIsOpenedAsEver) {
  const ModelFile source({.type = "TQ2_0"});
  const CachedModel nowhere = open_cached(source.path(), {}, {.directory = "/proc/no-such-place"});
  EXPECT_TRUE(says(nowhere, "there is no kernel-ready copy: ")) << nowhere.note;
  const int lock = ::open((directory() / "lock").c_str(), O_RDWR | O_CREAT, 0666);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  const CachedModel busy = open(source.path());
  EXPECT_TRUE(says(busy, "another process is making one")) << busy.note;
  ::close(lock);
  EXPECT_TRUE(files(".gguf").empty());
  EXPECT_EQ(hash_of(nowhere.model), hash_of(busy.model));
  EXPECT_THROW(std::ignore = open("/no/such/model.gguf"), Error);
}

TEST_F(ModelCache, ManyAtOnceAllGetTheModel) {
  const ModelFile source({.type = "TQ2_0"});
  const std::uint64_t expected = hash_of(source.open());
  std::vector<::pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const ::pid_t child = ::fork();
    if (child == 0) ::_exit(hash_of(open(source.path()).model) == expected ? 0 : 1);
    children.push_back(child);
  }
  for (const ::pid_t child : children) {
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files(".gguf").size(), 1u);
  EXPECT_TRUE(files(".part").empty());
}

}  // namespace
}  // namespace tern
