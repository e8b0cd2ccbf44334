#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string_view>
#include <vector>

#include "kernels/choice.h"
#include "kernels/dispatch.h"
#include "src/base/half.h"
#include "src/nn/linear.h"

namespace tern::nn {
namespace {

using kernels::TernaryKernel;
using weights::ScaleKind;
using weights::ScalePlan;

/// A random ternary layer together with its codes and scales in plain form.
struct TernaryCase {
  std::size_t rows, cols, block_cols;
  std::vector<std::uint8_t> codes;  // (rows, cols)
  ScalePlan plan;
  AlignedBuffer<std::uint8_t> memory;
  Linear linear;

  [[nodiscard]] double scale(std::size_t row, std::size_t col) const {
    if (plan.kind == ScaleKind::kTensor) return static_cast<double>(plan.scales[0]);
    return static_cast<double>(plan.scales[col / block_cols * rows + row]);
  }
};

TernaryCase make_case(const TernaryKernel& kernel, ScaleKind kind, std::size_t rows, std::size_t cols,
                      std::size_t block_cols) {
  std::mt19937 rng(static_cast<unsigned>(rows * 31 + cols));
  TernaryCase c{
      .rows = rows, .cols = cols, .block_cols = block_cols, .codes = {}, .plan = {}, .memory = {}, .linear = {}};
  for (std::size_t i = 0; i < rows * cols; ++i) c.codes.push_back(static_cast<std::uint8_t>(rng() % 3));
  const std::size_t n_col_blocks = cols / block_cols;
  c.plan = {.kind = kind, .block_cols = block_cols, .n_col_blocks = n_col_blocks, .scales = {}};
  const std::size_t n_scales = kind == ScaleKind::kTensor ? 1 : n_col_blocks * rows;
  for (std::size_t i = 0; i < n_scales; ++i) {
    c.plan.scales.push_back(f16_to_f32(f32_to_f16(0.01f + 0.001f * static_cast<float>(rng() % 64))));
  }

  c.memory = AlignedBuffer<std::uint8_t>(weights::packed_bytes(*kernel.layout, rows, cols, c.plan) + 64);
  c.linear.rows = rows;
  c.linear.cols = cols;
  c.linear.ternary = weights::make_ternary_matrix(*kernel.layout, rows, cols, c.plan, c.memory.span());
  const kernels::TernaryLayout& layout = *kernel.layout;
  for (std::size_t b = 0; b < n_col_blocks; ++b) {
    for (std::size_t row = 0; row < rows; row += layout.row_block) {
      layout.pack(c.codes.data() + row * cols + b * block_cols, cols, std::min(layout.row_block, rows - row),
                  block_cols, c.linear.ternary->block(row / layout.row_block, b));
    }
  }
  return c;
}

std::vector<float> random_input(std::size_t n_tokens, std::size_t cols) {
  std::mt19937 rng(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(n_tokens * cols);
  for (float& value : x) value = normal(rng);
  return x;
}

std::vector<float> run(std::string_view kernel, const Linear& linear, std::vector<float> x, std::size_t n_tokens,
                       unsigned threads) {
  ThreadPool pool(threads);
  Workspace work;
  const kernels::Choice choice = kernels::choose(kernel, kernels::usable_isa());
  const Compute compute{pool, choice, *choice.floats, work};
  std::vector<float> y(n_tokens * linear.rows);
  const Projection projection[] = {{&linear, {y.data(), n_tokens, linear.rows}}};
  project(compute, {x.data(), n_tokens, linear.cols}, projection);
  return y;
}

/// y[t][row] by the published formula, in double precision.
double expected(const TernaryCase& c, const std::vector<float>& x, std::size_t t, std::size_t row) {
  double y = 0.0;
  for (std::size_t begin = 0; begin < c.cols; begin += c.block_cols) {
    double largest = 1e-5;
    for (std::size_t i = 0; i < c.block_cols; ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(x[t * c.cols + begin + i])));
    }
    double sum = 0.0;
    for (std::size_t i = 0; i < c.block_cols; ++i) {
      const double q = std::nearbyint(static_cast<double>(x[t * c.cols + begin + i]) * (127.0 / largest));
      sum += (c.codes[row * c.cols + begin + i] - 1.0) * q;
    }
    y += sum * largest / 127.0 * c.scale(row, begin);
  }
  return y;
}

class TernaryLinear : public testing::TestWithParam<const TernaryKernel*> {};

TEST_P(TernaryLinear, FollowsTheFormulaForEveryKindOfScale) {
  for (const auto& [kind, block_cols] : {std::pair{ScaleKind::kTensor, 512},
                                         {ScaleKind::kRow, 512},
                                         {ScaleKind::kBlock, 256},
                                         {ScaleKind::kBlock, 128},
                                         {ScaleKind::kBlock, 64}}) {
    const TernaryCase c = make_case(*GetParam(), kind, 130, 512, static_cast<std::size_t>(block_cols));
    const std::vector<float> x = random_input(3, c.cols);
    const std::vector<float> y = run(GetParam()->name, c.linear, x, 3, 2);
    for (std::size_t i = 0; i < y.size(); ++i) {
      // A tie that rounds the other way in f32 moves one code by 1: at most scale * step, here 0.08 * 4 / 127.
      EXPECT_NEAR(static_cast<double>(y[i]), expected(c, x, i / c.rows, i % c.rows), 0.003) << "block " << block_cols;
    }
  }
}

TEST_P(TernaryLinear, DoesNotDependOnBatchOrThreads) {
  for (const ScaleKind kind : {ScaleKind::kTensor, ScaleKind::kRow, ScaleKind::kBlock}) {
    const bool blocks = kind == ScaleKind::kBlock;  // with more rows than any kernel reads side by side
    const TernaryCase c = make_case(*GetParam(), kind, blocks ? 1100 : 200, 256, blocks ? 64 : 256);
    const std::size_t n_tokens = 37;
    const std::vector<float> x = random_input(n_tokens, c.cols);
    const std::vector<float> together = run(GetParam()->name, c.linear, x, n_tokens, 1);
    EXPECT_EQ(run(GetParam()->name, c.linear, x, n_tokens, 3), together);
    for (std::size_t t = 0; t < n_tokens; ++t) {
      const auto first = x.begin() + static_cast<std::ptrdiff_t>(t * c.cols);
      const std::vector<float> alone =
          run(GetParam()->name, c.linear, {first, first + static_cast<std::ptrdiff_t>(c.cols)}, 1, 2);
      const auto row = together.begin() + static_cast<std::ptrdiff_t>(t * c.rows);
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), row)) << "token " << t;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Nn, TernaryLinear, testing::ValuesIn(kernels::runnable_ternary_kernels(kernels::usable_isa())),
                         [](const auto& test) {
                           std::string name = test.param->name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// The same values as f32, f16 and bf16, all exact.
TEST(DenseLinear, GivesTheSameBitsForEveryTypeThatHoldsTheWeights) {
  constexpr std::size_t kRows = 50, kCols = 96;
  std::mt19937 rng(3);
  std::vector<float> f32(kRows * kCols);
  std::vector<std::uint16_t> f16(f32.size()), bf16(f32.size());
  for (std::size_t i = 0; i < f32.size(); ++i) {
    f32[i] = (static_cast<float>(rng() % 256) - 128.0f) / 64.0f;  // 8 significant bits: exact in all three
    f16[i] = f32_to_f16(f32[i]);
    bf16[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(f32[i]) >> 16);
  }
  const auto layer = [&](std::uint32_t type, const void* data, std::size_t element) {
    Linear linear;
    linear.rows = kRows;
    linear.cols = kCols;
    linear.dense = {weights::find_codec(type), static_cast<const std::byte*>(data), kCols * element, kRows, kCols};
    return linear;
  };
  const std::vector<float> x = random_input(5, kCols);
  const std::vector<float> y = run("auto", layer(0, f32.data(), 4), x, 5, 1);
  EXPECT_EQ(run("auto", layer(1, f16.data(), 2), x, 5, 2), y);
  EXPECT_EQ(run("auto", layer(30, bf16.data(), 2), x, 5, 3), y);
  const std::vector<float> first(x.begin(), x.begin() + kCols);
  const std::vector<float> one = run("auto", layer(1, f16.data(), 2), first, 1, 1);
  EXPECT_TRUE(std::equal(one.begin(), one.end(), y.begin()));
  double dot = 0.0;
  for (std::size_t c = 0; c < kCols; ++c) dot += static_cast<double>(f32[c]) * static_cast<double>(x[c]);
  EXPECT_NEAR(static_cast<double>(y[0]), dot, 96 * 8.0 / (1 << 24));  // 96 roundings of sums below 8
}

TEST(Linear, AppliesScaleAndBias) {
  Linear linear;
  const float weights[] = {1.0f, 2.0f};
  linear.rows = 2;
  linear.cols = 1;
  linear.dense = {weights::find_codec(0), reinterpret_cast<const std::byte*>(weights), 4, 2, 1};
  linear.scale = 0.5f;
  linear.bias = {10.0f, 20.0f};
  EXPECT_EQ(run("auto", linear, {4.0f}, 1, 1), (std::vector<float>{12.0f, 24.0f}));
}

}  // namespace
}  // namespace tern::nn
