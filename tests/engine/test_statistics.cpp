#include "tern/statistics.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "src/engine/energy.h"
#include "tests/support/expect_error.h"

namespace tern::test {
namespace {

TEST(Statistics, InterpolatesQuartiles) {
  const std::vector<double> samples = {4, 1, 3, 2};  // definition 7: 1 + 3/4, 2.5, 3 + 1/4
  const Spread spread = spread_of(samples);
  EXPECT_EQ(spread.n, 4u);
  EXPECT_DOUBLE_EQ(spread.low, 1.0);
  EXPECT_DOUBLE_EQ(spread.first, 1.75);
  EXPECT_DOUBLE_EQ(spread.median, 2.5);
  EXPECT_DOUBLE_EQ(spread.third, 3.25);
  EXPECT_DOUBLE_EQ(spread.high, 4.0);
  EXPECT_DOUBLE_EQ(spread.relative(), 0.3);
  EXPECT_EQ(spread_of({}).n, 0u);
  EXPECT_DOUBLE_EQ(spread_of(std::vector<double>{7.0}).third, 7.0);
}

double p_value(const std::vector<double>& a, const std::vector<double>& b) { return compare_samples(a, b).p_value; }

TEST(Statistics, CountsOrdersExactly) {
  // All of one set below all of the other: one order of C(n + m, n) in each direction.
  EXPECT_DOUBLE_EQ(p_value({1, 2, 3}, {4, 5, 6}), 2.0 / 20);
  EXPECT_DOUBLE_EQ(p_value({4, 5, 6}, {1, 2, 3}), 2.0 / 20);
  EXPECT_DOUBLE_EQ(p_value({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}), 2.0 / 252);
  // U = 2 of 3 x 3: orders with U <= 2 are 1 + 1 + 2.
  EXPECT_DOUBLE_EQ(p_value({1, 2, 5}, {3, 4, 6}), 2.0 * 4 / 20);
  // Of 2 x 4, U = 1: 1 + 1 orders of 15.
  EXPECT_DOUBLE_EQ(p_value({1, 3}, {2, 4, 5, 6}), 2.0 * 2 / 15);
  EXPECT_DOUBLE_EQ(p_value({1}, {2}), 1.0);
}

TEST(Statistics, ApproximatesWithTies) {
  // U = 0.5, mean 8, variance 16 / 12 * (9 - (6 + 6) / 56): by hand.
  const double variance = 16.0 / 12 * (9 - (2.0 * 2 * 2 - 2) / 56);
  EXPECT_NEAR(p_value({1, 2, 3, 4}, {4, 5, 6, 7}), std::erfc((7.5 - 0.5) / std::sqrt(variance) / std::sqrt(2.0)),
              1e-12);
  EXPECT_DOUBLE_EQ(p_value({3, 3, 3}, {3, 3, 3}), 1.0);
}

/// Numbers around 1, the same on every machine.
std::vector<double> noisy(std::size_t n, double scale, std::uint64_t seed) {
  std::vector<double> samples;
  for (std::size_t i = 0; i < n; ++i) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    samples.push_back(scale * (1.0 + 0.1 * static_cast<double>(seed >> 40) / static_cast<double>(1 << 24)));
  }
  return samples;
}

TEST(Statistics, TellsADifferenceFromNoise) {
  std::size_t n_alarms = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    n_alarms += p_value(noisy(8, 1.0, seed), noisy(8, 1.0, seed + 1000)) < 0.05 ? 1 : 0;
    const Comparison slower = compare_samples(noisy(8, 1.0, seed), noisy(8, 1.2, seed + 1000));
    EXPECT_LT(slower.p_value, 0.01) << "seed " << seed;
    EXPECT_GT(slower.ratio_low, 1.0) << "seed " << seed;
    EXPECT_LE(slower.ratio_low, slower.ratio);
    EXPECT_GE(slower.ratio_high, slower.ratio);
  }
  EXPECT_LT(n_alarms, 25u);  // about 10 of 200 are to be expected
}

TEST(Statistics, BootstrapIntervalHoldsTheTrueRatio) {
  std::size_t n_inside = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Comparison c = compare_samples(noisy(20, 1.0, seed), noisy(20, 1.1, seed + 500));
    n_inside += c.ratio_low <= 1.1 && 1.1 <= c.ratio_high ? 1 : 0;
  }
  EXPECT_GT(n_inside, 85u);  // 95 are meant to
}

TEST(Statistics, RaisesPValuesOfSeveralComparisons) {
  const std::vector<double> adjusted = adjust_p_values(std::vector<double>{0.01, 0.04, 0.03, 0.005});
  EXPECT_DOUBLE_EQ(adjusted[3], 0.02);  // 4 * 0.005
  EXPECT_DOUBLE_EQ(adjusted[0], 0.03);  // 3 * 0.01
  EXPECT_DOUBLE_EQ(adjusted[2], 0.06);  // 2 * 0.03
  EXPECT_DOUBLE_EQ(adjusted[1], 0.06);  // 0.04, but not below the one before
  EXPECT_DOUBLE_EQ(adjust_p_values(std::vector<double>{0.7, 0.9})[0], 1.0);
}

TEST(Statistics, RefusesWhatIsNoMeasurement) {
  const std::vector<double> good = {1.0};
  const std::vector<double> zero = {0.0};
  const std::vector<double> nan = {std::numeric_limits<double>::quiet_NaN()};
  expect_error(ErrorKind::kInvalidArgument, "empty", [&] { static_cast<void>(compare_samples(good, {})); });
  expect_error(ErrorKind::kInvalidArgument, "positive", [&] { static_cast<void>(compare_samples(zero, good)); });
  expect_error(ErrorKind::kInvalidArgument, "positive", [&] { static_cast<void>(compare_samples(good, nan)); });
}

// --- energy -----------------------------------------------------------------------------------------------------

class EnergyTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / ("tern-energy-" + std::to_string(::getpid()));
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& zone, const std::string& file, const std::string& text) const {
    std::filesystem::create_directories(root_ / zone);
    std::ofstream(root_ / zone / file) << text << '\n';
  }
  void add_zone(const std::string& zone, const std::string& name) const {
    write(zone, "name", name);
    write(zone, "energy_uj", "1000000");
    write(zone, "max_energy_range_uj", "5000000");
  }

  std::filesystem::path root_;
};

TEST_F(EnergyTest, AddsPackagesAndNotTheirParts) {
  add_zone("intel-rapl:0", "package-0");
  add_zone("intel-rapl:1", "package-1");
  add_zone("intel-rapl:0:0", "core");
  engine::EnergyMeter meter(root_);
  EXPECT_EQ(meter.description(), "RAPL, 2 packages");
  write("intel-rapl:0", "energy_uj", "3500000");
  write("intel-rapl:0:0", "energy_uj", "4000000");
  EXPECT_DOUBLE_EQ(meter.take().value(), 2.5);
  EXPECT_DOUBLE_EQ(meter.take().value(), 0.0);
  write("intel-rapl:0", "energy_uj", "500000");  // went round: 1.5 J up to the range, 0.5 J more
  EXPECT_DOUBLE_EQ(meter.take().value(), 2.0);
}

TEST_F(EnergyTest, SaysWhyThereIsNone) {
  EXPECT_NE(engine::EnergyMeter(root_).description().find("no energy counters"), std::string::npos);
  EXPECT_FALSE(engine::EnergyMeter(root_ / "nowhere").take().has_value());
  write("intel-rapl:0", "name", "package-0");  // whose counter is not to be read
  engine::EnergyMeter meter(root_);
  EXPECT_NE(meter.description().find("may not be read"), std::string::npos) << meter.description();
  EXPECT_FALSE(meter.take().has_value());
}

}  // namespace
}  // namespace tern::test
