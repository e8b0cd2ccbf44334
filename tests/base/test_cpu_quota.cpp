#include "src/base/cpu_quota.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace tern {
namespace {

namespace fs = std::filesystem;

class CpuQuota : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_); }
  void TearDown() override { fs::remove_all(root_); }

  void write(const fs::path& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  [[nodiscard]] std::optional<double> quota() const { return cpu_quota(root_ / "membership", root_ / "sys"); }

  fs::path root_ = fs::path(testing::TempDir()) / ("quota-" + std::to_string(getpid()) + "-" +
                                                   testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(CpuQuota, IsNothingWithoutALimit) {
  EXPECT_EQ(quota(), std::nullopt) << "no files at all";
  write("membership", "0::/a/b\n");
  write("sys/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(CpuQuota, IsTheTightestOfTheGroupsAround) {
  write("membership", "0::/a/b\n");
  write("sys/cpu.max", "400000 100000\n");
  write("sys/a/cpu.max", "150000 100000\n");
  write("sys/a/b/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(CpuQuota, UnderstandsTheFirstVersion) {
  write("membership", "5:memory:/x\n4:cpu,cpuacct:/x\n");
  write("sys/cpu/x/cpu.cfs_quota_us", "50000\n");
  write("sys/cpu/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0.5);
  write("sys/cpu/x/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(CpuQuota, PassesOverWhatMakesNoSense) {
  write("membership", "\n0\n0:\n::\n0::/../../a\n0::/b\n");
  write("sys/b/cpu.max", "100000 0\n");
  write("a/cpu.max", "100000 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
}

}  // namespace
}  // namespace tern
