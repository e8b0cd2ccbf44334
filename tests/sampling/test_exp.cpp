#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/sampling/exp.h"

namespace tern::sampling {
namespace {

TEST(Exp, AgreesWithTheCLibrary) {
  for (double x = 0.0; x > -700.0; x = x * 1.0007 - 1e-5) {
    const double expected = std::exp(x);
    ASSERT_NEAR(exp_of_negative(x), expected, 1e-15 * expected) << "x = " << x;
  }
}

TEST(Exp, IsExactWhereItMatters) {
  EXPECT_EQ(exp_of_negative(0.0), 1.0);
  EXPECT_EQ(exp_of_negative(-700.5), 0.0);
  EXPECT_EQ(exp_of_negative(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_EQ(exp_of_negative(std::numeric_limits<double>::quiet_NaN()), 0.0);
}

TEST(Exp, NeverFallsAsItsArgumentRises) {
  double previous = 0.0;
  for (double x = -40.0; x <= 0.0; x += 0x1p-12) {
    const double value = exp_of_negative(x);
    ASSERT_GE(value, previous) << "x = " << x;
    previous = value;
  }
}

}  // namespace
}  // namespace tern::sampling
