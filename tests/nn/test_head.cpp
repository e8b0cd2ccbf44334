#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/dispatch.h"
#include "src/base/half.h"
#include "src/nn/linear.h"

namespace tern::nn {
namespace {

constexpr std::size_t kRows = 150;
constexpr std::size_t kCols = 96;
constexpr std::uint32_t kBf16 = 30;

/// The same random matrix as f32, f16 and bf16, all exact.
struct Weights {
  std::vector<float> f32;
  std::vector<std::uint16_t> f16, bf16;

  Weights() : f32(kRows * kCols), f16(f32.size()), bf16(f32.size()) {
    std::mt19937 rng(11);
    for (std::size_t i = 0; i < f32.size(); ++i) {
      f32[i] = (static_cast<float>(rng() % 256) - 128.0f) / 64.0f;  // 8 significant bits
      f16[i] = f32_to_f16(f32[i]);
      bf16[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(f32[i]) >> 16);
    }
  }

  static DenseMatrix matrix(std::uint32_t type, const void* data, std::size_t element_bytes) {
    return {weights::find_codec(type), static_cast<const std::byte*>(data), kCols * element_bytes, kRows, kCols};
  }
  [[nodiscard]] DenseMatrix as_f32() const { return matrix(kF32, f32.data(), 4); }
  [[nodiscard]] DenseMatrix as_f16() const { return matrix(kF16, f16.data(), 2); }
  [[nodiscard]] DenseMatrix as_bf16() const { return matrix(kBf16, bf16.data(), 2); }
};

/// A float matrix with int8 weights made of it.
struct Int8Linear {
  AlignedBuffer<std::uint8_t> memory;
  Linear linear;

  Int8Linear(const kernels::HeadKernels& kernels, const DenseMatrix& dense)
      : memory(head_bytes(dense.rows, dense.cols)) {
    linear.rows = dense.rows;
    linear.cols = dense.cols;
    linear.dense = dense;
    linear.int8 = make_head(kernels, dense.rows, dense.cols, memory.span());
    std::vector<float> scratch(dense.cols);
    EXPECT_EQ(quantize_rows(dense, 0, dense.rows, scratch.data(), *linear.int8), std::nullopt);
  }
};

std::vector<float> random_input(std::size_t n_tokens) {
  std::mt19937 rng(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(n_tokens * kCols);
  for (float& value : x) value = normal(rng);
  return x;
}

std::vector<float> run(const Linear& linear, std::vector<float> x, unsigned threads) {
  ThreadPool pool(threads);
  Workspace work;
  const kernels::Choice choice = kernels::choose("auto", kernels::usable_isa());
  const Compute compute{pool, choice, *choice.floats, work};
  const std::size_t n_tokens = x.size() / linear.cols;
  std::vector<float> y(n_tokens * linear.rows);
  const Projection projection[] = {{&linear, {y.data(), n_tokens, linear.rows}}};
  project(compute, {x.data(), n_tokens, linear.cols}, projection);
  return y;
}

class Int8Head : public testing::TestWithParam<const kernels::HeadKernels*> {};

/// Integers from the weights and hidden states themselves, by the formulas of kernels/head.h.
TEST_P(Int8Head, EqualsAPlainIntegerEvaluation) {
  const Weights weights;
  const Int8Linear head(*GetParam(), weights.as_f16());
  const std::vector<float> x = random_input(3);
  const std::vector<float> y = run(head.linear, x, 2);
  const auto largest = [](const float* values) {
    float found = 0.0f;
    for (std::size_t c = 0; c < kCols; ++c) found = std::max(found, std::fabs(values[c]));
    return found;
  };
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float* w = &weights.f32[i % kRows * kCols];
    const float* h = &x[i / kRows * kCols];
    const double hidden_scale = kernels::kHeadMaxHidden / static_cast<double>(largest(h));
    std::int64_t sum = 0;
    for (std::size_t c = 0; c < kCols; ++c) {
      const auto q = static_cast<std::int64_t>(std::nearbyint(w[c] * (127.0f / largest(w))));
      sum += q * static_cast<std::int64_t>(std::nearbyint(static_cast<double>(h[c]) * hidden_scale));
    }
    const double scale = static_cast<double>(largest(w) / 127.0f);
    const double step = static_cast<double>(largest(h)) / kernels::kHeadMaxHidden;
    ASSERT_EQ(y[i], static_cast<float>(static_cast<double>(sum) * (scale * step))) << i;
  }
}

TEST_P(Int8Head, IsNearTheFloatHead) {
  const Weights weights;
  Int8Linear head(*GetParam(), weights.as_f32());
  const std::vector<float> x = random_input(4);
  const std::vector<float> y = run(head.linear, x, 1);
  head.linear.int8.reset();
  const std::vector<float> exact = run(head.linear, x, 1);
  EXPECT_NE(y, exact);
  for (std::size_t i = 0; i < y.size(); ++i) {
    // Half a step of each weight, at most 2 / 127 (the largest weight is 2), times the hidden state; and half a step
    // of the hidden state, at most 5 / 16319 of these draws, times the weights.
    double bound = 0.0;
    for (std::size_t c = 0; c < kCols; ++c) {
      bound += 0.5 * (2.0 / 127.0) * static_cast<double>(std::fabs(x[i / kRows * kCols + c]));
      bound += 0.5 * (5.0 / 16319.0) * static_cast<double>(std::fabs(weights.f32[i % kRows * kCols + c]));
    }
    ASSERT_NEAR(static_cast<double>(y[i]), static_cast<double>(exact[i]), bound) << i;
  }
}

TEST_P(Int8Head, DoesNotDependOnTypeBatchOrThreads) {
  const Weights weights;
  const Int8Linear head(*GetParam(), weights.as_f16());
  constexpr std::size_t kTokens = 19;
  const std::vector<float> x = random_input(kTokens);
  const std::vector<float> y = run(head.linear, x, 1);
  EXPECT_EQ(run(head.linear, x, 3), y);
  EXPECT_EQ(run(Int8Linear(*GetParam(), weights.as_f32()).linear, x, 2), y);
  EXPECT_EQ(run(Int8Linear(*GetParam(), weights.as_bf16()).linear, x, 2), y);
  for (std::size_t t = 0; t < kTokens; ++t) {
    const auto first = x.begin() + static_cast<std::ptrdiff_t>(t * kCols);
    const std::vector<float> alone = run(head.linear, {first, first + kCols}, 2);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), y.begin() + static_cast<std::ptrdiff_t>(t * kRows))) << t;
  }
}

TEST_P(Int8Head, FindsTheFirstRowThatIsNotFinite) {
  Weights weights;
  weights.f32[40 * kCols + 3] = std::numeric_limits<float>::infinity();
  weights.f32[90 * kCols] = std::numeric_limits<float>::quiet_NaN();
  AlignedBuffer<std::uint8_t> memory(head_bytes(kRows, kCols));
  const HeadMatrix head = make_head(*GetParam(), kRows, kCols, memory.span());
  std::vector<float> scratch(kCols);
  EXPECT_EQ(quantize_rows(weights.as_f32(), 0, kRows, scratch.data(), head), std::optional<std::size_t>(40));
  EXPECT_EQ(quantize_rows(weights.as_f32(), 41, 90, scratch.data(), head), std::nullopt);
  EXPECT_EQ(quantize_rows(weights.as_f32(), 41, 91, scratch.data(), head), std::optional<std::size_t>(90));
}

INSTANTIATE_TEST_SUITE_P(Nn, Int8Head, testing::ValuesIn(kernels::runnable_head_kernels(kernels::usable_isa())),
                         [](const auto& test) {
                           std::string name = test.param->name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(FitsHead, RefusesMoreColumnsThanTheSumsHold) {
  DenseMatrix matrix = Weights::matrix(kF32, nullptr, 4);
  matrix.cols = kernels::kHeadMaxCols;
  EXPECT_TRUE(fits_head(matrix));
  matrix.cols += 1;
  EXPECT_FALSE(fits_head(matrix));
}

}  // namespace
}  // namespace tern::nn
