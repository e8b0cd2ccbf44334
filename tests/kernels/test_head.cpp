#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/float_tables.h"
#include "kernels/head_tables.h"
#include "tests/kernels/guarded_array.h"

// Every table of the output head against the formulas of kernels/head.h, evaluated in the plainest way.
namespace tern::kernels::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMaxFloat = std::numeric_limits<float>::max();

std::size_t stride_of(std::size_t cols) { return (cols + kHeadAlignment - 1) / kHeadAlignment * kHeadAlignment; }

/// Random rows and hidden states; the bytes that fill rows up are random too, and memory ends where the rows end.
struct Case {
  Case(std::size_t rows, std::size_t columns, std::size_t tokens)
      : n_rows(rows),
        cols(columns),
        n_tokens(tokens),
        stride(stride_of(columns)),
        weights(rows * stride),
        scales(rows),
        hidden(tokens * columns) {
    std::mt19937 random(static_cast<unsigned>(rows * 7 + columns * 31 + tokens));
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < weights.size(); ++i) weights.data()[i] = static_cast<std::uint8_t>(1 + random() % 255);
    for (std::size_t i = 0; i < rows; ++i) scales.data()[i] = 1e-3f * static_cast<float>(1 + random() % 100);
    for (std::size_t i = 0; i < hidden.size(); ++i) hidden.data()[i] = normal(random);
  }

  std::size_t n_rows, cols, n_tokens, stride;
  GuardedArray<std::uint8_t> weights;  // (n_rows, stride)
  GuardedArray<float> scales;          // (n_rows)
  GuardedArray<float> hidden;          // (n_tokens, cols)
};

/// Logits of rows [begin, end) as a table computes them; the others stay NaN. (n_tokens, n_rows)
std::vector<float> run(const HeadKernels& table, Case& c, std::size_t begin, std::size_t end) {
  const std::size_t operand_bytes = table.operand_bytes(c.n_tokens, c.cols);
  EXPECT_EQ(operand_bytes % 64, 0u);
  GuardedArray<std::uint8_t> operand(operand_bytes);
  for (std::size_t t = 0; t < c.n_tokens; ++t) {
    table.quantize_hidden(c.hidden.data() + t * c.cols, c.cols, {t, c.n_tokens}, operand.data());
  }
  GuardedArray<float> y(std::vector<float>(c.n_tokens * c.n_rows, kNan));
  table.multiply({.rows = c.weights.data(),
                  .stride = c.stride,
                  .scales = c.scales.data(),
                  .operand = operand.data(),
                  .cols = c.cols,
                  .n_tokens = c.n_tokens,
                  .row_begin = begin,
                  .row_end = end,
                  .y = y.data(),
                  .y_stride = c.n_rows});
  return y.values();
}

/// The formula for one logit.
float expected(Case& c, std::size_t t, std::size_t r) {
  const float* h = c.hidden.data() + t * c.cols;
  float largest = kHeadFloor;
  for (std::size_t i = 0; i < c.cols; ++i) largest = std::fmax(largest, std::fabs(h[i]));  // fmax ignores NaN
  largest = std::fmin(largest, kMaxFloat);
  const double scale = kHeadMaxHidden / static_cast<double>(largest);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < c.cols; ++i) {
    const double x = std::isnan(h[i]) ? 0.0 : std::nearbyint(static_cast<double>(h[i]) * scale);
    const double bounded = std::clamp(x, -1.0 * kHeadMaxHidden, 1.0 * kHeadMaxHidden);
    sum += (c.weights.data()[r * c.stride + i] - 128) * static_cast<std::int64_t>(bounded);
  }
  const double step = static_cast<double>(largest) / kHeadMaxHidden;
  return static_cast<float>(static_cast<double>(sum) * (static_cast<double>(c.scales.data()[r]) * step));
}

void expect_formula(const HeadKernels& table, Case& c) {
  const std::vector<float> y = run(table, c, 0, c.n_rows);
  for (std::size_t i = 0; i < y.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(y[i]), std::bit_cast<std::uint32_t>(expected(c, i / c.n_rows, i % c.n_rows)))
        << y[i] << " at token " << i / c.n_rows << ", row " << i % c.n_rows << " of " << c.n_rows << ", cols "
        << c.cols;
  }
}

class Head : public testing::TestWithParam<const HeadKernels*> {};

TEST_P(Head, FollowsTheFormulaForEveryNumberOfColumns) {
  std::vector<std::size_t> sizes;
  for (std::size_t cols = 1; cols <= 200; ++cols) sizes.push_back(cols);
  for (const std::size_t cols : {256u, 1000u, 2560u, 4096u, 4100u, 8256u, 9000u}) sizes.push_back(cols);
  for (const std::size_t cols : sizes) {
    Case c(13, cols, 3);
    expect_formula(*GetParam(), c);
  }
}

TEST_P(Head, FollowsTheFormulaForEveryNumberOfTokens) {
  for (std::size_t n_tokens = 1; n_tokens <= 35; ++n_tokens) {
    Case c(33, 192, n_tokens);
    expect_formula(*GetParam(), c);
  }
}

TEST_P(Head, ComputesTheRowsThatItIsAskedFor) {
  for (const std::size_t n_tokens : {1u, 2u, 5u}) {
    Case c(70, 320, n_tokens);
    const std::vector<float> all = run(*GetParam(), c, 0, c.n_rows);
    for (const auto& [begin, end] : {std::pair<std::size_t, std::size_t>{0, 1}, {3, 4}, {5, 70}, {17, 42}, {64, 64}}) {
      const std::vector<float> part = run(*GetParam(), c, begin, end);
      for (std::size_t i = 0; i < part.size(); ++i) {
        const std::size_t row = i % c.n_rows;
        const float wanted = row >= begin && row < end ? all[i] : kNan;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(part[i]), std::bit_cast<std::uint32_t>(wanted)) << row;
      }
    }
  }
}

// The largest sums there are: every weight and every element of the hidden state at an end of its range.
TEST_P(Head, HoldsTheLargestSums) {
  for (const std::size_t cols : {std::size_t{64}, std::size_t{4096}, std::size_t{4224}, kHeadMaxCols}) {
    for (const bool alternating : {false, true}) {
      Case c(5, cols, 5);
      for (std::size_t i = 0; i < c.weights.size(); ++i) {
        c.weights.data()[i] = alternating && i % 2 == 1 ? 1 : 255;
      }
      for (std::size_t i = 0; i < c.hidden.size(); ++i) {
        c.hidden.data()[i] = (i / cols % 2 == 1 ? -1.0f : 1.0f) * (alternating && i % 2 == 1 ? -1.0f : 1.0f);
      }
      expect_formula(*GetParam(), c);
      const double sum = static_cast<double>(cols) * 127.0 * static_cast<double>(c.scales.data()[0]);
      EXPECT_NEAR(static_cast<double>(run(*GetParam(), c, 0, 1)[0]), sum, sum * 1e-6);
    }
  }
}

// All values of the 15 bits: rows that select one column each return the integer itself.
TEST_P(Head, TakesEveryValueOfAHiddenState) {
  constexpr std::size_t kCols = 2 * kHeadMaxHidden + 1;
  Case c(2, kCols, 1);
  for (std::size_t i = 0; i < kCols; ++i) {
    c.hidden.data()[i] = static_cast<float>(static_cast<std::int32_t>(i) - kHeadMaxHidden);
  }
  expect_formula(*GetParam(), c);
  std::fill_n(c.scales.data(), c.n_rows, 1.0f);
  for (const std::size_t column : {std::size_t{0}, std::size_t{63}, std::size_t{64}, std::size_t{191}, std::size_t{192},
                                   std::size_t{16319}, kCols - 1}) {
    std::fill_n(c.weights.data(), c.weights.size(), std::uint8_t{128});
    c.weights.data()[column] = 129;
    EXPECT_EQ(run(*GetParam(), c, 0, 1)[0], c.hidden.data()[column]);
  }
}

TEST_P(Head, QuantizesUnusualHiddenStates) {
  Case c(3, 100, 6);
  const auto token = [&](std::size_t t) { return c.hidden.data() + t * c.cols; };
  std::fill_n(token(0), c.cols, 0.0f);
  std::fill_n(token(1), c.cols, 1e-42f);
  token(2)[5] = kNan;
  token(3)[7] = kInfinity, token(3)[8] = -kInfinity, token(3)[9] = kMaxFloat;
  for (std::size_t i = 0; i < c.cols; ++i) token(4)[i] = static_cast<float>(i) + 0.5f;  // ties
  token(4)[0] = static_cast<float>(kHeadMaxHidden);
  for (std::size_t i = 0; i < c.cols; ++i) token(5)[i] *= 1e37f;
  expect_formula(*GetParam(), c);
}

/// The scale, then the bytes.
template <typename Element>
std::vector<float> quantized(float (*quantize)(const Element*, std::size_t, std::uint8_t*),
                             const std::vector<Element>& row) {
  GuardedArray<Element> w(row);
  GuardedArray<std::uint8_t> q(row.size());
  std::vector<float> result = {quantize(w.data(), w.size(), q.data())};
  for (const std::uint8_t byte : q.values()) result.push_back(byte);
  return result;
}

std::vector<float> quantized_by_formula(const std::vector<float>& row) {
  float largest = kHeadFloor;
  for (const float w : row) largest = std::max(largest, std::fabs(w));
  std::vector<float> result = {largest / 127.0f};
  for (const float w : row) result.push_back(128.0f + std::nearbyint(w * (127.0f / largest)));
  return result;
}

std::vector<float> random_row(std::size_t cols, float size) {
  std::mt19937 random(static_cast<unsigned>(cols));
  std::normal_distribution<float> normal(0.0f, size);
  std::vector<float> row(cols);
  for (float& w : row) w = normal(random);
  return row;
}

TEST_P(Head, QuantizesRowsByTheFormula) {
  for (std::size_t cols = 1; cols <= 130; ++cols) {
    for (const float size : {1.0f, 0.02f, 1e-6f, 1e-30f, 1e-38f, 1e37f}) {
      const std::vector<float> row = random_row(cols, size);
      EXPECT_EQ(quantized(GetParam()->quantize_row_f32, row), quantized_by_formula(row)) << cols << ", " << size;
      if (size > 1e4f) continue;  // beyond f16; what is below becomes subnormal or zero
      std::vector<std::uint16_t> halves(cols);
      std::vector<float> rounded(cols);
      kFloatScalar.f32_to_f16(row.data(), cols, halves.data());
      kFloatScalar.f16_to_f32(halves.data(), cols, rounded.data());
      EXPECT_EQ(quantized(GetParam()->quantize_row_f16, halves), quantized_by_formula(rounded)) << cols << ", " << size;
    }
  }
}

TEST_P(Head, RoundsTiesOfWeightsToEven) {
  std::vector<float> row = {127.0f};
  for (int i = -126; i < 126; ++i) row.push_back(static_cast<float>(i) + 0.5f);
  const std::vector<float> q = quantized(GetParam()->quantize_row_f32, row);
  EXPECT_EQ(q[0], 1.0f);
  for (std::size_t i = 1; i < q.size(); ++i) EXPECT_EQ(static_cast<int>(q[i]) % 2, i == 1 ? 1 : 0) << row[i - 1];
}

TEST_P(Head, ReportsWeightsThatAreNotFinite) {
  for (const float wrong : {kInfinity, -kInfinity, kNan}) {
    for (const std::size_t at : {0u, 15u, 16u, 50u}) {
      std::vector<float> row = random_row(51, 1.0f);
      std::vector<std::uint16_t> halves(row.size());
      EXPECT_TRUE(std::isfinite(quantized(GetParam()->quantize_row_f32, row)[0]));
      row[at] = wrong;
      kFloatScalar.f32_to_f16(row.data(), row.size(), halves.data());
      EXPECT_FALSE(std::isfinite(quantized(GetParam()->quantize_row_f32, row)[0]));
      EXPECT_FALSE(std::isfinite(quantized(GetParam()->quantize_row_f16, halves)[0]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, Head, testing::ValuesIn(runnable_head_kernels(usable_isa())), [](const auto& test) {
  std::string name = test.param->name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace tern::kernels::test
