#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/choice.h"
#include "kernels/dispatch.h"
#include "src/base/half.h"
#include "src/nn/attention.h"

namespace tern::nn {
namespace {

struct Shape {
  const char* name;
  std::size_t n_heads;
  std::size_t n_kv_heads;
  std::size_t head_dim;
  std::size_t n_positions;
  std::size_t window = 0;
};

// Chunks are 256 positions, blocks of keys 16, groups of columns 16, tiles 8 queries: all of them broken somewhere.
constexpr Shape kShapes[] = {
    {"grouped", 4, 2, 8, 40},
    {"no_groups", 3, 3, 20, 37},
    {"one_head", 1, 1, 1, 33},
    {"three_to_one", 6, 2, 33, 50},
    {"two_chunks", 4, 1, 16, 263},
    {"many_queries", 20, 1, 24, 40},
    {"whole_columns", 8, 2, 128, 48},
    {"three_chunks", 2, 2, 10, 520},
    {"window", 4, 2, 20, 300, 37},
    {"window_of_one", 3, 1, 8, 40, 1},
    {"window_of_a_chunk", 2, 1, 8, 530, 256},
    {"wide_window", 6, 2, 16, 40, 64},
};
constexpr KvType kTypes[] = {KvType::kF16, KvType::kF32, KvType::kInt8};
constexpr float kScale = 0.25f;

const char* name_of(KvType type) { return type == KvType::kF16 ? "f16" : type == KvType::kF32 ? "f32" : "int8"; }

/// Queries, keys and values of one text.
struct Text {
  std::vector<float> q;     // (n_positions, n_heads * head_dim)
  std::vector<float> k, v;  // (n_positions, n_kv_heads * head_dim)
};

Text random_text(const Shape& shape, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  Text text;
  text.q.resize(shape.n_positions * shape.n_heads * shape.head_dim);
  text.k.resize(shape.n_positions * shape.n_kv_heads * shape.head_dim);
  text.v.resize(text.k.size());
  for (auto* x : {&text.q, &text.k, &text.v}) {
    for (float& value : *x) value = normal(rng);
  }
  return text;
}

/// What a row of the cache holds, in double precision.
std::vector<double> stored(std::span<const float> row, KvType type) {
  std::vector<double> values(row.begin(), row.end());
  double largest = 1e-5;
  for (const double value : values) largest = std::max(largest, std::fabs(value));
  // The scale of a row is a float.
  const double step = static_cast<double>(static_cast<float>(static_cast<double>(static_cast<float>(largest)) / 127.0));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (type == KvType::kF16) values[i] = static_cast<double>(f16_to_f32(f32_to_f16(row[i])));
    if (type == KvType::kInt8) values[i] = std::nearbyint(values[i] * (127.0 / largest)) * step;
  }
  return values;
}

/// The result of a head of a token, in double precision and straight from the definition.  (head_dim)
std::vector<double> expected(const Shape& shape, const Text& text, KvType type, std::size_t t, std::size_t head) {
  const std::size_t n = shape.head_dim;
  const std::size_t kv_head = head * shape.n_kv_heads / shape.n_heads;
  const auto row = [&](const std::vector<float>& x, std::size_t position) {
    return stored(std::span(x).subspan((position * shape.n_kv_heads + kv_head) * n, n), type);
  };
  double total = 0.0;
  std::vector<double> sums(n);
  const std::size_t first = shape.window == 0 || t < shape.window ? 0 : t - shape.window + 1;
  for (std::size_t j = first; j <= t; ++j) {
    const std::vector<double> key = row(text.k, j), value = row(text.v, j);
    double score = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      score += static_cast<double>(text.q[(t * shape.n_heads + head) * n + i]) * key[i];
    }
    const double weight = std::exp(score * static_cast<double>(kScale));
    total += weight;
    for (std::size_t i = 0; i < n; ++i) sums[i] += weight * value[i];
  }
  for (double& sum : sums) sum /= total;
  return sums;
}

/// A machine to compute with, and caches for texts of one shape.
class Machine {
 public:
  Machine(unsigned threads, const kernels::AttentionKernels* table)
      : pool_(threads), choice_(kernels::choose("auto", kernels::usable_isa())) {
    if (table != nullptr) choice_.attention = table;
  }
  [[nodiscard]] Compute compute() { return {pool_, choice_, *choice_.floats, work_}; }

 private:
  ThreadPool pool_;
  kernels::Choice choice_;
  Workspace work_;
};

constexpr std::size_t kLayer = 1;  // of two: the first stays empty

KvCache make_cache(const Shape& shape, KvType type) {
  return {{.n_layers = 2, .n_kv_heads = shape.n_kv_heads, .n_positions = shape.n_positions, .head_dim = shape.head_dim},
          type};
}

void store(const Compute& compute, const Shape& shape, const Text& text, std::size_t position, KvCache& cache) {
  const std::size_t at = position * shape.n_kv_heads * shape.head_dim;
  cache.reserve(position, position + 1);
  cache.store(compute.floats, kLayer, position, text.k.data() + at, text.v.data() + at);
}

struct RunOptions {
  std::size_t batch = 1;
  unsigned threads = 1;
  const kernels::AttentionKernels* table = nullptr;  // the best one
};

/// All positions of a text in batches, (n_positions, n_heads * head_dim).
std::vector<float> run(const Shape& shape, const Text& text, KvType type, const RunOptions& options) {
  Machine machine(options.threads, options.table);
  const Compute compute = machine.compute();
  KvCache cache = make_cache(shape, type);
  std::vector<float> q = text.q;
  std::vector<float> out(q.size());
  const std::size_t cols = shape.n_heads * shape.head_dim;
  for (std::size_t first = 0; first < shape.n_positions; first += options.batch) {
    const std::size_t n = std::min(options.batch, shape.n_positions - first);
    std::vector<TokenPlace> places;
    for (std::size_t t = 0; t < n; ++t) {
      places.push_back({&cache, first + t});
      store(compute, shape, text, first + t, cache);
    }
    attention(compute, places, {kLayer, kScale, shape.window}, {q.data() + first * cols, n, cols},
              {out.data() + first * cols, n, cols});
  }
  return out;
}

class Attention : public testing::TestWithParam<std::tuple<Shape, KvType>> {
 protected:
  const Shape shape_ = std::get<0>(GetParam());
  const KvType type_ = std::get<1>(GetParam());
};

TEST_P(Attention, FollowsTheDefinition) {
  const Text text = random_text(shape_, 7);
  const std::vector<float> out = run(shape_, text, type_, {.batch = 5});
  // A score is a sum of head_dim products, so off by head_dim roundings of |q||k|/4 < 4 head_dim; so is, relatively,
  // its weight. A mean of values below 5 is off by twice that, and by a rounding for each position.
  const auto n = static_cast<double>(shape_.head_dim);
  double bound = 5.0 * (2.0 * n * std::sqrt(n) + static_cast<double>(shape_.n_positions) + 20.0) * 0x1p-24;
  // For kInt8 queries and weights are rounded as well, by a step that is 2^-15 of the largest, again below 5: with a
  // standard deviation of 1 / sqrt(12) of it. A score is off by kScale * sqrt(head_dim) times that, and a result by
  // about as much, and by as much as a weight. No element is off by six deviations.
  if (type_ == KvType::kInt8) bound += 6.0 * (double{kScale} * std::sqrt(n) + 1.0) * 5.0 * 0x1p-15 / std::sqrt(12.0);
  for (std::size_t t = 0; t < shape_.n_positions; ++t) {
    for (std::size_t head = 0; head < shape_.n_heads; ++head) {
      const std::vector<double> values = expected(shape_, text, type_, t, head);
      for (std::size_t d = 0; d < shape_.head_dim; ++d) {
        ASSERT_NEAR(static_cast<double>(out[(t * shape_.n_heads + head) * shape_.head_dim + d]), values[d], bound)
            << "token " << t << ", head " << head << ", element " << d;
      }
    }
  }
}

TEST_P(Attention, DoesNotDependOnBatchOrThreads) {
  const Text text = random_text(shape_, 8);
  const std::vector<float> one_by_one = run(shape_, text, type_, {});
  for (const std::size_t batch : {std::size_t{1}, std::size_t{7}, std::size_t{32}, shape_.n_positions}) {
    for (const unsigned threads : {1u, 2u, 3u}) {
      EXPECT_EQ(run(shape_, text, type_, {batch, threads}), one_by_one) << "batch " << batch << ", " << threads;
    }
  }
}

TEST_P(Attention, EveryTableGivesTheSameBits) {
  const Text text = random_text(shape_, 9);
  const auto tables = kernels::runnable_attention_kernels(kernels::usable_isa());
  const std::vector<float> scalar = run(shape_, text, type_, {.batch = 7, .table = tables.back()});
  for (const kernels::AttentionKernels* table : tables) {
    for (const std::size_t batch : {1u, 7u, 32u}) {
      EXPECT_EQ(run(shape_, text, type_, {batch, 1, table}), scalar) << table->name << ", batch " << batch;
    }
  }
}

TEST_P(Attention, ComputesSeveralTextsAtOnce) {
  // Text i is at position 3 i of its own, and the last text brings several tokens, not in order.
  constexpr std::size_t kTexts = 5;
  const std::size_t cols = shape_.n_heads * shape_.head_dim;
  Machine machine(2, nullptr);
  const Compute compute = machine.compute();
  std::vector<Text> texts;
  std::vector<KvCache> caches;
  std::vector<std::vector<float>> alone;
  for (std::size_t i = 0; i < kTexts; ++i) {
    texts.push_back(random_text(shape_, 10 + static_cast<unsigned>(i)));
    caches.push_back(make_cache(shape_, type_));
    alone.push_back(run(shape_, texts[i], type_, {}));
    for (std::size_t p = 0; p < shape_.n_positions; ++p) store(compute, shape_, texts[i], p, caches[i]);
  }
  std::vector<TokenPlace> places;
  std::vector<float> q, expected_out;
  const auto add = [&](std::size_t i, std::size_t position) {
    places.push_back({&caches[i], position});
    const auto row = static_cast<std::ptrdiff_t>(position * cols);
    q.insert(q.end(), texts[i].q.begin() + row, texts[i].q.begin() + row + static_cast<std::ptrdiff_t>(cols));
    expected_out.insert(expected_out.end(), alone[i].begin() + row,
                        alone[i].begin() + row + static_cast<std::ptrdiff_t>(cols));
  };
  for (std::size_t i = 0; i < kTexts; ++i) add(i, 3 * i);
  for (const std::size_t position : {20u, 21u, 22u, 5u, 6u, 6u}) add(kTexts - 1, position);
  std::vector<float> out(q.size());
  attention(compute, places, {kLayer, kScale, shape_.window}, {q.data(), places.size(), cols},
            {out.data(), places.size(), cols});
  EXPECT_EQ(out, expected_out);
}

TEST_P(Attention, NeverLooksAhead) {
  // What comes later is infinite or no number at all; the tokens before it are in the same tile.
  Text text = random_text(shape_, 11);
  const std::size_t first_bad = shape_.n_positions - 5;
  const std::vector<float> clean = run(shape_, text, type_, {.batch = shape_.n_positions});
  for (std::size_t i = first_bad * shape_.n_kv_heads * shape_.head_dim; i < text.k.size(); ++i) {
    text.k[i] = std::numeric_limits<float>::quiet_NaN();
    text.v[i] = std::numeric_limits<float>::infinity();
  }
  std::vector<float> out = run(shape_, text, type_, {.batch = shape_.n_positions});
  const std::size_t n_before = first_bad * shape_.n_heads * shape_.head_dim;
  EXPECT_TRUE(std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n_before), clean.begin()));
}

INSTANTIATE_TEST_SUITE_P(Nn, Attention, testing::Combine(testing::ValuesIn(kShapes), testing::ValuesIn(kTypes)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + "_" + name_of(std::get<1>(test.param));
                         });

TEST(KvCache, RefusesASizeThatDoesNotExist) {
  for (const KvType type : kTypes) {
    EXPECT_THROW(
        KvCache({.n_layers = 1000, .n_kv_heads = 1000, .n_positions = std::size_t{1} << 50, .head_dim = 1000}, type),
        Error);
  }
}

TEST(KvCache, RefusesHeadsWhoseSumsOfIntegersCouldOverflow) {
  const KvShape shape{.n_layers = 1, .n_kv_heads = 1, .n_positions = 1, .head_dim = kernels::kAttentionMaxHeadDim + 1};
  EXPECT_NO_THROW(KvCache(shape, KvType::kF16));
  EXPECT_THROW(KvCache(shape, KvType::kInt8), Error);
}

TEST(KvCache, CountsTheBytesOfATextOfSomeLength) {
  const KvShape shape{.n_layers = 3, .n_kv_heads = 2, .n_positions = 100, .head_dim = 40};
  EXPECT_EQ(KvCache(shape, KvType::kF32).bytes_read(7), 2u * 3 * 2 * 7 * 160);
  EXPECT_EQ(KvCache(shape, KvType::kF16).bytes_read(7), 2u * 3 * 2 * 7 * 80);
  EXPECT_EQ(KvCache(shape, KvType::kInt8).bytes_read(7), 2u * 3 * 2 * 7 * 44);
}

}  // namespace
}  // namespace tern::nn
