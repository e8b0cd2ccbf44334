#include "src/base/portable_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tern::portable {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(PortableExp, AgreesWithTheCLibrary) {
  for (double x = 1e-5; x < 700.0; x = x * 1.0007 + 1e-5) {
    ASSERT_NEAR(exp(x), std::exp(x), 2e-15 * std::exp(x)) << "x = " << x;
    ASSERT_NEAR(exp(-x), std::exp(-x), 2e-15 * std::exp(-x)) << "x = " << -x;
  }
}

TEST(PortableExp, IsExactWhereItMatters) {
  EXPECT_EQ(exp(0.0), 1.0);
  EXPECT_EQ(exp(-700.5), 0.0);
  EXPECT_EQ(exp(-kInfinity), 0.0);
  EXPECT_EQ(exp(kNan), 0.0);
  EXPECT_EQ(exp(700.5), kInfinity);
  EXPECT_EQ(exp(kInfinity), kInfinity);
}

TEST(PortableExp, NeverFallsAsItsArgumentRises) {
  double previous = 0.0;
  for (double x = -40.0; x <= 0.0; x += 0x1p-12) {
    const double value = exp(x);
    ASSERT_GE(value, previous) << "x = " << x;
    previous = value;
  }
}

TEST(PortableLog, AgreesWithTheCLibrary) {
  for (double x = 1e-300; x < 1e300; x *= 1.0137) {
    ASSERT_NEAR(log(x), std::log(x), 5e-16 * std::abs(std::log(x)) + 1e-16) << "x = " << x;
  }
  EXPECT_EQ(log(1.0), 0.0);
}

TEST(PortablePow, AgreesWithTheCLibrary) {
  for (const double base : {1.0, 10000.0, 500000.0, 1e6, 1e7}) {
    for (int i = 0; i < 64; ++i) {
      const double expected = std::pow(base, -i / 64.0);
      ASSERT_NEAR(pow(base, -i / 64.0), expected, 1e-14 * expected) << base << ", " << i;
    }
    EXPECT_EQ(pow(base, 0.0), 1.0);
  }
}

TEST(PortableSinCos, AgreesWithTheCLibrary) {
  for (double x = 1e-9; x < 0x1p20; x = x * 1.00013 + 1e-9) {
    for (const double angle : {x, -x}) {
      const auto [sin, cos] = sin_cos(angle);
      ASSERT_NEAR(sin, std::sin(angle), 3e-16) << angle;
      ASSERT_NEAR(cos, std::cos(angle), 3e-16) << angle;
    }
  }
  EXPECT_EQ(sin_cos(0.0).sin, 0.0);
  EXPECT_EQ(sin_cos(0.0).cos, 1.0);
}

TEST(PortableSinCos, TakesAnyNumber) {
  for (const double angle : {0x1p21, 1e15, 1e308, -1e308}) {
    const auto [sin, cos] = sin_cos(angle);
    EXPECT_NEAR(sin * sin + cos * cos, 1.0, 1e-15) << angle;
  }
  EXPECT_TRUE(std::isnan(sin_cos(kInfinity).sin));
  EXPECT_TRUE(std::isnan(sin_cos(kNan).cos));
}

}  // namespace
}  // namespace tern::portable
