#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>

#include "src/base/half.h"
#include "tests/kernels/test_float_support.h"

// Float kernels against the same formulas in double. Bounds are derived: u = kRoundoff per rounding on the longest
// path.
namespace tern::kernels::test {
namespace {

/// The unit roundoffs that a sum of n terms adds to each: additions within a lane, then the tree of 16.
double sum_roundings(std::size_t n) { return std::ceil(static_cast<double>(n) / 16.0) + 4.0; }

/// Relative error of exp in units of u, for normal results (see ExpConstants): reduced argument 0.35 (|r| <= 0.35, one
/// rounding), P * r^2 0.25 (three roundings of a term below 0.06, over exp(r) >= 0.7), r + ... 0.6, 1 + ... 1, fit
/// 0.05.
constexpr double kExpRoundings = 2.25;

double silu(double z) { return z / (1.0 + std::exp(-z)); }

double gelu(double z) {
  return 0.5 * z * (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (z + 0.044715 * z * z * z)));
}

class FloatAccuracy : public testing::TestWithParam<const FloatKernels*> {
 protected:
  const FloatKernels& table() const { return *GetParam(); }
};

TEST_P(FloatAccuracy, RmsNorm) {
  constexpr std::size_t kSize = 2563;
  constexpr float kEpsilon = 1e-5f;
  const std::vector<float> x = make_floats(kSize, Kind::kOrdinary, 1);
  const std::vector<float> weight = make_floats(kSize, Kind::kOrdinary, 2);
  std::vector<float> y(kSize);
  table().rms_norm(x.data(), weight.data(), kSize, kEpsilon, y.data());

  double squares = 0.0;
  for (const float v : x) squares += double{v} * v;
  const double inverse = 1.0 / std::sqrt(squares / kSize + double{kEpsilon});
  // Double precision, rounded once; the few hundred roundings of doubles are below the slack.
  const double bound = kSlack * kRoundoff;
  for (std::size_t i = 0; i < kSize; ++i) {
    const double expected = x[i] * inverse * weight[i];
    ASSERT_NEAR(y[i], expected, bound * std::fabs(expected)) << i;
  }
}

TEST_P(FloatAccuracy, Quantize) {
  constexpr std::size_t kSize = 6913;
  const std::vector<float> x = make_floats(kSize, Kind::kOrdinary, 3);
  std::vector<std::int8_t> q(kSize);
  const double step = table().quantize(x.data(), kSize, q.data());

  float largest = 0.0f;
  for (const float v : x) largest = std::max(largest, std::fabs(v));
  EXPECT_EQ(step, double{largest} / 127.0);
  // Half a step, and two roundings of doubles (the scale, the product) of at most 127 steps.
  const double bound = 0.5 + 127.0 * 2.0 * 0x1p-52;
  for (std::size_t i = 0; i < kSize; ++i) ASSERT_NEAR(q[i], x[i] * 127.0 / double{largest}, bound) << i;
}

TEST_P(FloatAccuracy, QuantizeRoundsHalvesToEven) {
  const std::vector<float> x = {127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -127.0f};  // scale 1
  std::vector<std::int8_t> q(x.size());
  EXPECT_EQ(table().quantize(x.data(), x.size(), q.data()), 1.0);
  EXPECT_EQ(q, (std::vector<std::int8_t>{127, 0, 2, 2, 0, -2, -2, 126, -127}));
}

TEST_P(FloatAccuracy, QuantizeOfSilenceNaNAndInfinity) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::int8_t> q(3);
  EXPECT_EQ(table().quantize(std::vector<float>{0.0f, -0.0f, 4e-8f}.data(), 3, q.data()), double{1e-5f} / 127.0);
  EXPECT_EQ(q, (std::vector<std::int8_t>{0, 0, 1}));  // 4e-8 is 0.508 steps
  EXPECT_EQ(table().quantize(std::vector<float>{kNaN, 2.0f, -1.0f}.data(), 3, q.data()), 2.0 / 127.0);
  EXPECT_EQ(q, (std::vector<std::int8_t>{0, 127, -64}));  // -63.5 goes to even
  const double step = table().quantize(std::vector<float>{kInfinity, -kInfinity, 1.0f}.data(), 3, q.data());
  EXPECT_EQ(step, double{std::numeric_limits<float>::max()} / 127.0);
  EXPECT_EQ(q, (std::vector<std::int8_t>{127, -127, 0}));
}

TEST_P(FloatAccuracy, GatedUnits) {
  const std::vector<float> up = make_floats(20001, Kind::kOrdinary, 4);
  std::vector<float> gate(up.size());
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = static_cast<float>(i) * 0.008f - 80.0f;  // -80 to 80
  std::vector<float> y(up.size());

  table().silu_mul(gate.data(), up.data(), up.size(), y.data());
  const double silu_bound = kSlack * kRoundoff * (kExpRoundings + 3.0);  // 1 + exp, quotient, product
  for (std::size_t i = 0; i < up.size(); ++i) {
    const double expected = silu(double{gate[i]}) * up[i];
    ASSERT_NEAR(y[i], expected, silu_bound * std::fabs(expected)) << gate[i];
  }

  table().relu2_mul(gate.data(), up.data(), up.size(), y.data());
  for (std::size_t i = 0; i < up.size(); ++i) {
    const double positive = std::max(double{gate[i]}, 0.0);
    const double expected = positive * positive * up[i];
    ASSERT_NEAR(y[i], expected, kSlack * kRoundoff * 2.0 * std::fabs(expected)) << gate[i];
  }
}

TEST_P(FloatAccuracy, GeluGatedUnit) {
  const std::vector<float> up = make_floats(20001, Kind::kOrdinary, 4);
  std::vector<float> gate(up.size());
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = static_cast<float>(i) * 0.0008f - 8.0f;  // -8 to 8
  std::vector<float> y(up.size());
  table().gelu_mul(gate.data(), up.data(), up.size(), y.data());
  for (std::size_t i = 0; i < up.size(); ++i) {
    // The argument of exp has five roundings (square, two constants, product, sum, product), which count as often as it
    // is large; and 0.5 (1 + tanh) in double cancels to multiples of 2^-54.
    const double z{gate[i]};
    const double argument = 1.6 * std::fabs(z) * (1.0 + 0.045 * z * z);
    const double bound = kSlack * kRoundoff * (kExpRoundings + 3.0 + 6.0 * argument);
    const double expected = gelu(z) * up[i];
    ASSERT_NEAR(y[i], expected, bound * std::fabs(expected) + 0x1p-52 * std::fabs(z * up[i])) << gate[i];
  }
}

TEST_P(FloatAccuracy, Ropes) {
  constexpr std::size_t kHalf = 40;
  const std::vector<float> x = make_floats(2 * kHalf, Kind::kOrdinary, 5);
  std::vector<float> cos(kHalf);
  std::vector<float> sin(kHalf);
  for (std::size_t i = 0; i < kHalf; ++i) {
    cos[i] = std::cos(static_cast<float>(i));
    sin[i] = std::sin(static_cast<float>(i));
  }
  const auto check = [&](const std::vector<float>& y, std::size_t i, std::size_t first, std::size_t second) {
    const double ac = double{x[first]} * cos[i];
    const double bs = double{x[second]} * sin[i];
    const double as = double{x[first]} * sin[i];
    const double bc = double{x[second]} * cos[i];
    // A product and a sum each.
    EXPECT_NEAR(y[first], ac - bs, kSlack * kRoundoff * 2.0 * (std::fabs(ac) + std::fabs(bs)));
    EXPECT_NEAR(y[second], as + bc, kSlack * kRoundoff * 2.0 * (std::fabs(as) + std::fabs(bc)));
  };
  std::vector<float> neox = x;
  table().rope_neox(neox.data(), cos.data(), sin.data(), x.size());
  std::vector<float> norm = x;
  table().rope_norm(norm.data(), cos.data(), sin.data(), x.size());
  for (std::size_t i = 0; i < kHalf; ++i) {
    check(neox, i, i, i + kHalf);
    check(norm, i, 2 * i, 2 * i + 1);
  }
}

TEST_P(FloatAccuracy, HalvesToFloatsAreExact) {
  std::vector<std::uint16_t> halves(65536);
  std::iota(halves.begin(), halves.end(), std::uint16_t{0});
  std::vector<float> floats(halves.size());
  table().f16_to_f32(halves.data(), halves.size(), floats.data());
  for (const std::uint16_t half : halves) {
    const float expected = f16_to_f32(half);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(floats[half])) << half;
    } else {
      ASSERT_EQ(floats[half], expected) << half;
      ASSERT_EQ(std::signbit(floats[half]), std::signbit(expected)) << half;
    }
  }
}

TEST_P(FloatAccuracy, FloatsToHalvesAreRoundedToEven) {
  constexpr std::uint32_t kStep = 4099;  // a prime: a million floats of every sign and size, NaN included
  std::vector<float> floats;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += kStep) {
    floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
  // Every half, and every point in the middle of two: the ties.
  for (std::uint32_t half = 0; half < 0x7c00; ++half) {
    const float low = f16_to_f32(static_cast<std::uint16_t>(half));
    const float high = half == 0x7bff ? 65536.0f : f16_to_f32(static_cast<std::uint16_t>(half + 1));
    floats.insert(floats.end(), {low, -low, (low + high) / 2.0f, -(low + high) / 2.0f});
  }
  std::vector<std::uint16_t> halves(floats.size());
  table().f32_to_f16(floats.data(), floats.size(), halves.data());
  for (std::size_t i = 0; i < floats.size(); ++i) ASSERT_EQ(halves[i], f32_to_f16(floats[i])) << floats[i];
}

TEST_P(FloatAccuracy, DotRows) {
  constexpr std::size_t kRows = 6;
  constexpr std::size_t kSize = 2565;
  const std::vector<float> rows = make_floats(kRows * kSize, Kind::kOrdinary, 6);
  const std::vector<float> x = make_floats(kSize, Kind::kOrdinary, 7);
  std::vector<std::uint16_t> half_rows(rows.size());
  table().f32_to_f16(rows.data(), rows.size(), half_rows.data());
  std::vector<float> y(kRows);
  std::vector<float> half_y(kRows);
  table().dot_rows_f32(rows.data(), kSize, kRows, x.data(), kSize, y.data());
  table().dot_rows_f16(half_rows.data(), kSize, kRows, x.data(), kSize, half_y.data());

  const double bound = kSlack * kRoundoff * (1.0 + sum_roundings(kSize));  // a product and the sum
  const auto check = [&](float actual, const auto& row) {
    double expected = 0.0;
    double magnitude = 0.0;
    for (std::size_t i = 0; i < kSize; ++i) {
      expected += row(i) * x[i];
      magnitude += std::fabs(row(i) * x[i]);
    }
    EXPECT_NEAR(actual, expected, bound * magnitude);
  };
  for (std::size_t r = 0; r < kRows; ++r) {
    check(y[r], [&](std::size_t i) { return double{rows[r * kSize + i]}; });
    check(half_y[r], [&](std::size_t i) { return double{f16_to_f32(half_rows[r * kSize + i])}; });
  }
}

TEST_P(FloatAccuracy, SiluAndGeluOfExtremes) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> gate = {-3e38f, -100.0f, 0.0f, 100.0f, kInfinity, std::numeric_limits<float>::quiet_NaN()};
  const std::vector<float> up(gate.size(), 1.0f);
  std::vector<float> y(gate.size());
  for (const auto gated : {table().silu_mul, table().gelu_mul}) {
    gated(gate.data(), up.data(), gate.size(), y.data());
    EXPECT_EQ(y[0], 0.0f);  // exp(3e38) is infinite
    EXPECT_EQ(y[1], 0.0f);
    EXPECT_EQ(y[2], 0.0f);
    EXPECT_EQ(y[3], 100.0f);  // exp(-100) is lost beside 1
    EXPECT_EQ(y[4], kInfinity);
    EXPECT_TRUE(std::isnan(y[5]));
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, FloatAccuracy, testing::ValuesIn(tables_here()),
                         [](const auto& test) { return test_name(test.param->name); });

}  // namespace
}  // namespace tern::kernels::test
