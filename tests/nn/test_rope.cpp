#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "kernels/choice.h"
#include "kernels/dispatch.h"
#include "src/base/fnv1a.h"
#include "src/nn/rope.h"

namespace tern::nn {
namespace {

/// Rotates one head at one position.
std::array<float, 4> rotate(RopePairing pairing, std::size_t position) {
  const kernels::Choice choice = kernels::choose("auto", kernels::usable_isa());
  RopeTable table({.pairing = pairing, .n_dims = 4});
  table.reserve(position + 1);
  std::array<float, 4> x{1, 2, 3, 4};
  rope(*choice.floats, table, position, 4, x);
  return x;
}

/// Frequency of a pair, read back from the angle at position 1 (all below pi here).
double frequency(const RopeTable& table, std::size_t pair) {
  return std::atan2(static_cast<double>(table.sin(1)[pair]), static_cast<double>(table.cos(1)[pair]));
}

// An angle rounded to f32 through sin and cos: a few 2^-24 relative to 1.
constexpr double kAngleBound = 4.0 / (1 << 24);

TEST(Rope, RotatesPairsHalfAHeadApart) {
  const auto x = rotate(RopePairing::kNeox, 3);
  const double c0 = std::cos(3.0), s0 = std::sin(3.0), c1 = std::cos(0.03), s1 = std::sin(0.03);
  EXPECT_NEAR(x[0], 1 * c0 - 3 * s0, 1e-5);
  EXPECT_NEAR(x[2], 1 * s0 + 3 * c0, 1e-5);
  EXPECT_NEAR(x[1], 2 * c1 - 4 * s1, 1e-5);
  EXPECT_NEAR(x[3], 2 * s1 + 4 * c1, 1e-5);
  EXPECT_NEAR(x[0], -1.413353, 1e-5);  // published example
}

TEST(Rope, RotatesNeighbours) {
  const auto x = rotate(RopePairing::kNorm, 3);
  EXPECT_NEAR(x[0], -1.272233, 1e-5);
  EXPECT_NEAR(x[1], -1.838865, 1e-5);
  EXPECT_NEAR(x[2], 2.878668, 1e-5);
  EXPECT_NEAR(x[3], 4.088187, 1e-5);
}

TEST(Rope, PositionZeroChangesNothing) { EXPECT_EQ(rotate(RopePairing::kNeox, 0), (std::array<float, 4>{1, 2, 3, 4})); }

TEST(Rope, LinearScalingStretchesPositions) {
  RopeTable plain({.n_dims = 8});
  RopeTable scaled({.n_dims = 8, .scaling = RopeScaling::kLinear, .factor = 4.0});
  plain.reserve(3);
  scaled.reserve(9);
  for (std::size_t pair = 0; pair < 4; ++pair) {
    EXPECT_EQ(scaled.cos(8)[pair], plain.cos(2)[pair]);
    EXPECT_EQ(scaled.sin(8)[pair], plain.sin(2)[pair]);
  }
}

TEST(Rope, YarnBlendsFrequencies) {
  RopeTable table(
      {.n_dims = 128, .theta = 1e6, .scaling = RopeScaling::kYarn, .factor = 4.0, .original_context = 16384});
  table.reserve(2);
  EXPECT_NEAR(frequency(table, 20), 0.0133352, 1e-6);
  EXPECT_NEAR(frequency(table, 30), 8.605472e-4, kAngleBound);
  EXPECT_NEAR(frequency(table, 40), 4.4456985e-5, kAngleBound);
  const double magnitude = std::hypot(static_cast<double>(table.cos(1)[0]), static_cast<double>(table.sin(1)[0]));
  EXPECT_NEAR(magnitude, 1.138629, 1e-6);
}

TEST(Rope, FrequencyFactorsDivide) {
  RopeTable plain({.n_dims = 4, .theta = 100.0});
  RopeTable divided({.n_dims = 4, .theta = 100.0, .frequency_factors = {1.0f, 2.0f}});
  plain.reserve(2);
  divided.reserve(2);
  EXPECT_NEAR(frequency(divided, 0), frequency(plain, 0), kAngleBound);
  EXPECT_NEAR(frequency(divided, 1), frequency(plain, 1) / 2, kAngleBound);
}

TEST(Rope, GrowsWithoutChangingWhatIsThere) {
  RopeTable table({.n_dims = 16});
  table.reserve(2);
  const float before = table.sin(1)[3];
  table.reserve(100);
  EXPECT_EQ(table.sin(1)[3], before);
}

TEST(Rope, IsTheSameOnEveryMachine) {
  RopeTable table({.n_dims = 128, .theta = 500000.0});
  table.reserve(4096);
  const auto all = [&](const float* first) { return std::as_bytes(std::span(first, 4096 * table.n_pairs())); };
  EXPECT_EQ(fnv1a(all(table.cos(0))), 3415290032401579799u);
  EXPECT_EQ(fnv1a(all(table.sin(0))), 10071233910604354096u);
}

}  // namespace
}  // namespace tern::nn
