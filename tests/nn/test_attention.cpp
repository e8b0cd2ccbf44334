#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/choice.h"
#include "kernels/dispatch.h"
#include "src/base/half.h"
#include "src/nn/attention.h"

namespace tern::nn {
namespace {

constexpr std::size_t kHeads = 4, kKvHeads = 2, kHeadDim = 8, kPositions = 40;

struct Case {
  std::vector<float> q, k, v;  // (kPositions, heads * kHeadDim)
};

Case random_case(unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  Case c;
  c.q.resize(kPositions * kHeads * kHeadDim);
  c.k.resize(kPositions * kKvHeads * kHeadDim);
  c.v.resize(c.k.size());
  for (auto* x : {&c.q, &c.k, &c.v}) {
    for (float& value : *x) value = normal(rng);
  }
  return c;
}

double stored(float value, KvType type) {
  return static_cast<double>(type == KvType::kF16 ? f16_to_f32(f32_to_f16(value)) : value);
}

/// One element of the result in double precision, straight from the definition.
double expected(const Case& c, KvType type, std::size_t t, std::size_t head, std::size_t d) {
  const std::size_t kv_head = head * kKvHeads / kHeads;
  const auto at = [&](const std::vector<float>& x, std::size_t position, std::size_t i) {
    return stored(x[(position * kKvHeads + kv_head) * kHeadDim + i], type);
  };
  double total = 0.0, sum = 0.0;
  for (std::size_t j = 0; j <= t; ++j) {
    double score = 0.0;
    for (std::size_t i = 0; i < kHeadDim; ++i) {
      score += static_cast<double>(c.q[(t * kHeads + head) * kHeadDim + i]) * at(c.k, j, i);
    }
    const double weight = std::exp(score * 0.25);
    total += weight;
    sum += weight * at(c.v, j, d);
  }
  return sum / total;
}

/// Runs all positions in batches of `batch` tokens.
std::vector<float> run(const Case& c, KvType type, std::size_t batch, unsigned threads) {
  ThreadPool pool(threads);
  Workspace work;
  const kernels::Choice choice = kernels::choose("auto", kernels::usable_isa());
  const Compute compute{pool, choice, *choice.floats, work};
  KvCache cache({.n_layers = 2, .n_kv_heads = kKvHeads, .n_positions = kPositions, .head_dim = kHeadDim}, type);
  Case copy = c;
  std::vector<float> out(c.q.size());
  for (std::size_t first = 0; first < kPositions; first += batch) {
    const std::size_t n = std::min(batch, kPositions - first);
    const auto rows = [&](std::vector<float>& x, std::size_t heads) {
      return MatrixView{x.data() + first * heads * kHeadDim, n, heads * kHeadDim};
    };
    cache.store(compute, 1, first, rows(copy.k, kKvHeads), rows(copy.v, kKvHeads));
    attention(compute, cache, 1, first, 0.25f, rows(copy.q, kHeads), rows(out, kHeads));
  }
  return out;
}

class Attention : public testing::TestWithParam<KvType> {};

TEST_P(Attention, FollowsTheDefinition) {
  const Case c = random_case(7);
  const std::vector<float> out = run(c, GetParam(), 5, 1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t t = i / (kHeads * kHeadDim), head = i / kHeadDim % kHeads, d = i % kHeadDim;
    // Scores of size < 8 carry 8 roundings of 2^-24 each; a weighted mean of |v| < 4 keeps their sum.
    EXPECT_NEAR(static_cast<double>(out[i]), expected(c, GetParam(), t, head, d), 4.0 * 64 * 8 / (1 << 24)) << i;
  }
}

TEST_P(Attention, DoesNotDependOnBatchOrThreads) {
  const Case c = random_case(8);
  const std::vector<float> one_by_one = run(c, GetParam(), 1, 1);
  for (const std::size_t batch : {2u, 7u, 40u}) {
    for (const unsigned threads : {1u, 2u, 3u}) EXPECT_EQ(run(c, GetParam(), batch, threads), one_by_one);
  }
}

INSTANTIATE_TEST_SUITE_P(Nn, Attention, testing::Values(KvType::kF16, KvType::kF32),
                         [](const auto& test) { return test.param == KvType::kF16 ? "f16" : "f32"; });

TEST(KvCache, RefusesASizeThatDoesNotExist) {
  EXPECT_THROW(KvCache({.n_layers = 1000, .n_kv_heads = 1000, .n_positions = std::size_t{1} << 50, .head_dim = 1000},
                       KvType::kF16),
               Error);
}

}  // namespace
}  // namespace tern::nn
