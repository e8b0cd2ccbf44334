#include "src/base/checked_math.h"

#include <gtest/gtest.h>

#include <limits>

namespace tern {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

TEST(CheckedMath, MultipliesUpToTheLastValueThatFits) {
  EXPECT_EQ(checked_mul(0, kMax), 0u);
  EXPECT_EQ(checked_mul(kMax / 5, 5), kMax);  // 2^64 - 1 is a multiple of 5
  EXPECT_EQ(checked_mul(kMax / 5 + 1, 5), std::nullopt);
  EXPECT_EQ(checked_mul(std::uint64_t{1} << 32, std::uint64_t{1} << 32), std::nullopt);
}

TEST(CheckedMath, AddsUpToTheLastValueThatFits) {
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
  EXPECT_EQ(checked_add(kMax, kMax), std::nullopt);
}

TEST(CheckedMath, RoundsUp) {
  EXPECT_EQ(round_up(0, 32), 0u);
  EXPECT_EQ(round_up(1, 32), 32u);
  EXPECT_EQ(round_up(32, 32), 32u);
  EXPECT_EQ(round_up(33, 32), 64u);
}

}  // namespace
}  // namespace tern
