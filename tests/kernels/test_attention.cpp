#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/attention_tables.h"
#include "tests/kernels/test_float_support.h"

// Every table of attention kernels gives the bits of the scalar table, which follows the definition, and touches
// nothing beside its arrays.
namespace tern::kernels::test {
namespace {

enum class Type { kF32, kF16, kI8 };
constexpr Type kTypes[] = {Type::kF32, Type::kF16, Type::kI8};

std::size_t round_up(std::size_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

struct TileShape {
  std::size_t head_dim;
  std::size_t n_positions;  // that the last row sees
  std::size_t n_rows;
  std::size_t n_hidden = 0;  // positions that the last row does not see after all
};

/// Every array of a tile with exactly the size that the contract promises, followed by memory that faults.
class Tile {
 public:
  Tile(TileShape shape, Type type, Kind kind, unsigned seed)
      : shape_(shape),
        type_(type),
        queries_(make_floats(shape.n_rows * shape.head_dim, kind, seed)),
        keys_(round_up(shape.n_positions) * key_dim() * element_bytes()),
        values_(n_values() * value_dim(shape.head_dim) * element_bytes()),
        key_scales_(make_scales(round_up(shape.n_positions), seed + 1)),
        value_scales_(make_scales(round_up(shape.n_positions), seed + 2)),
        scratch_(attention_scratch(shape.head_dim)),
        max_(kAttentionRows),
        sum_(kAttentionRows),
        results_(kAttentionRows * value_dim(shape.head_dim)) {
    fill(keys_, kind, seed + 3);
    fill(values_, kind, seed + 4);
    // Later rows see more, the last ones the same.
    for (std::size_t r = 0; r < shape.n_rows; ++r) {
      const std::size_t fewer = (shape.n_rows - 1 - r) / 2 * 3;
      n_visible_[r] = shape.n_positions > fewer ? shape.n_positions - fewer : 0;
      n_hidden_[r] = shape.n_hidden > fewer ? shape.n_hidden - fewer : 0;
    }
  }

  [[nodiscard]] AttentionTile tile() {
    AttentionTile tile{};
    tile.head_dim = shape_.head_dim;
    tile.n_rows = shape_.n_rows;
    tile.scale = 0.17f;
    for (std::size_t r = 0; r < kAttentionRows; ++r) {
      tile.queries[r] = queries_.data() + std::min(r, shape_.n_rows - 1) * shape_.head_dim;
    }
    tile.n_visible = n_visible_;
    if (shape_.n_hidden > 0) tile.n_hidden = n_hidden_;
    tile.keys = keys_.data();
    tile.values = values_.data();
    if (type_ == Type::kI8) {
      tile.key_scales = key_scales_.data();
      tile.value_scales = value_scales_.data();
    }
    tile.scratch = scratch_.data();
    tile.part = part();
    return tile;
  }
  [[nodiscard]] AttentionPart part() { return {max_.data(), sum_.data(), results_.data()}; }
  /// (pairs of positions, value_dim, 2) and (positions) of type kI8.
  [[nodiscard]] std::int8_t* codes() { return reinterpret_cast<std::int8_t*>(values_.data()); }
  [[nodiscard]] float* key_scales() { return key_scales_.data(); }
  [[nodiscard]] float* value_scales() { return value_scales_.data(); }

  /// Max, sum and results of all rows that see anything.
  [[nodiscard]] std::vector<float> run(const AttentionKernels& table) {
    const auto attend = type_ == Type::kF32   ? table.attend_f32
                        : type_ == Type::kF16 ? table.attend_f16
                                              : table.attend_i8;
    attend(tile());
    return result();
  }
  [[nodiscard]] std::vector<float> result() {
    std::vector<float> all;
    for (std::size_t r = 0; r < shape_.n_rows; ++r) {
      if (n_visible_[r] <= n_hidden_[r]) continue;
      all.push_back(max_.data()[r]);
      all.push_back(sum_.data()[r]);
      const float* row = results_.data() + r * value_dim(shape_.head_dim);
      all.insert(all.end(), row, row + value_dim(shape_.head_dim));
    }
    return all;
  }

 private:
  [[nodiscard]] std::size_t element_bytes() const { return type_ == Type::kF32 ? 4 : type_ == Type::kF16 ? 2 : 1; }
  [[nodiscard]] std::size_t key_dim() const {
    return type_ == Type::kI8 ? i8_key_dim(shape_.head_dim) : shape_.head_dim;
  }
  [[nodiscard]] std::size_t n_values() const {
    return type_ == Type::kI8 ? (shape_.n_positions + 1) / 2 * 2 : shape_.n_positions;
  }
  static std::vector<float> make_scales(std::size_t n, unsigned seed) {
    std::vector<float> scales = make_floats(n, Kind::kOrdinary, seed);
    for (float& scale : scales) scale = std::fabs(scale);
    return scales;
  }
  void fill(GuardedArray<std::uint8_t>& array, Kind kind, unsigned seed) {
    const std::size_t n = array.size() / element_bytes();
    const std::vector<float> floats = make_floats(n, kind, seed);
    if (type_ == Type::kF32) std::memcpy(array.data(), floats.data(), array.size());
    if (type_ == Type::kF16) floats_->f32_to_f16(floats.data(), n, reinterpret_cast<std::uint16_t*>(array.data()));
    if (type_ == Type::kI8) floats_->quantize(floats.data(), n, reinterpret_cast<std::int8_t*>(array.data()));
  }

  const FloatKernels* floats_ = tables_here().back();
  TileShape shape_;
  Type type_;
  GuardedArray<float> queries_;
  GuardedArray<std::uint8_t> keys_, values_;
  GuardedArray<float> key_scales_, value_scales_;
  GuardedArray<float> scratch_, max_, sum_, results_;
  std::size_t n_visible_[kAttentionRows] = {};
  std::size_t n_hidden_[kAttentionRows] = {};
};

/// Where bits differ first, or nothing. Any NaN equals any other.
std::string first_difference(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) return "different lengths";
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(actual[i]) && std::isnan(expected[i])) continue;
    if (std::bit_cast<std::uint32_t>(actual[i]) == std::bit_cast<std::uint32_t>(expected[i])) continue;
    return fmt::format("element {} is {:a} instead of {:a}", i, actual[i], expected[i]);
  }
  return "";
}

class AttentionTable : public testing::TestWithParam<const AttentionKernels*> {
 protected:
  const AttentionKernels& table_ = *GetParam();
};

constexpr TileShape kShapes[] = {{1, 1, 1},         {7, 3, 2},        {16, 16, 3},    {20, 17, 4},  {64, 31, 5},
                                 {33, 100, 6},      {128, 255, 7},    {128, 256, 8},  {80, 256, 1}, {130, 129, 8},
                                 {128, 2, 8},       {16, 48, 7},      {128, 256, 4},  {300, 40, 2}, {20, 40, 4, 7},
                                 {64, 256, 8, 256}, {33, 100, 6, 31}, {16, 60, 8, 59}};

TEST_P(AttentionTable, EqualsTheScalarTable) {
  for (const Kind kind : kAllKinds) {
    for (const Type type : kTypes) {
      for (const TileShape& shape : kShapes) {
        Tile tile(shape, type, kind, 1);
        const std::vector<float> expected = tile.run(kAttentionScalar);
        ASSERT_EQ(first_difference(tile.run(table_), expected), "")
            << shape.head_dim << " columns, " << shape.n_positions << " positions, " << shape.n_rows << " rows, kind "
            << static_cast<int>(kind) << ", type " << static_cast<int>(type);
      }
    }
  }
}

TEST_P(AttentionTable, MergesAndFinishesLikeTheScalarTable) {
  constexpr TileShape kShape{40, 60, 8};
  const auto run = [&](const AttentionKernels& table) {
    Tile first(kShape, Type::kF32, Kind::kOrdinary, 2), second(kShape, Type::kF32, Kind::kOrdinary, 3);
    static_cast<void>(first.run(table));
    static_cast<void>(second.run(table));
    std::vector<float> all;
    for (std::size_t r = 0; r < kShape.n_rows; ++r) {
      table.merge(second.part(), r, kShape.head_dim, first.part());
      GuardedArray<float> y(kShape.head_dim);
      table.finish(first.part(), r, kShape.head_dim, y.data());
      const std::vector<float> row = y.values();
      all.insert(all.end(), row.begin(), row.end());
    }
    const std::vector<float> parts = first.result();
    all.insert(all.end(), parts.begin(), parts.end());
    return all;
  };
  EXPECT_EQ(first_difference(run(table_), run(kAttentionScalar)), "");
}

TEST_P(AttentionTable, EqualsTheScalarTableForAnyNumberOfPositions) {
  for (std::size_t n = 1; n <= kAttentionChunk; ++n) {
    const TileShape shape{1 + n * 7 % 70, n, 1 + n % kAttentionRows};
    Tile tile(shape, Type::kI8, Kind::kOrdinary, static_cast<unsigned>(n));
    const std::vector<float> expected = tile.run(kAttentionScalar);
    ASSERT_EQ(first_difference(tile.run(table_), expected), "")
        << shape.head_dim << " columns, " << n << " positions, " << shape.n_rows << " rows";
  }
}

TEST_P(AttentionTable, IgnoresWhatLiesBehindTheLastPosition) {
  // 37 positions: the pair of the last one and its block of 16 hold more.
  constexpr std::size_t kPositions = 37;
  constexpr TileShape kShape{24, kPositions, 3};
  Tile tile(kShape, Type::kI8, Kind::kOrdinary, 5);
  const std::vector<float> expected = tile.run(table_);
  for (std::size_t d = 0; d < value_dim(kShape.head_dim); ++d) {
    tile.codes()[kPositions / 2 * value_dim(kShape.head_dim) * 2 + 2 * d + 1] = 127;
  }
  for (std::size_t j = kPositions; j < round_up(kPositions); ++j) {
    tile.key_scales()[j] = std::numeric_limits<float>::infinity();
    tile.value_scales()[j] = std::numeric_limits<float>::quiet_NaN();
  }
  EXPECT_EQ(first_difference(tile.run(table_), expected), "");
}

/// Positions that are all alike, every code the largest: the results are those of one position, and the sums of the
/// integers as large as they can be.
void expect_the_largest_sums(const AttentionKernels& table, std::size_t head_dim, float sign) {
  const std::size_t n_columns = value_dim(head_dim);
  const std::vector<float> query(head_dim, 2.0f);
  const std::vector<std::int8_t> codes(kAttentionChunk * n_columns,
                                       static_cast<std::int8_t>(sign * static_cast<float>(kAttentionMaxCode)));
  const std::vector<float> scales(kAttentionChunk, 0.5f);
  std::vector<float> scratch(attention_scratch(head_dim)), results(kAttentionRows * n_columns);
  float max[kAttentionRows], sum[kAttentionRows];
  const std::size_t n_visible = kAttentionChunk;
  AttentionTile tile{};
  tile.head_dim = head_dim;
  tile.n_rows = 1;
  tile.scale = 0.125f;
  std::fill_n(tile.queries, kAttentionRows, query.data());
  tile.n_visible = &n_visible;
  tile.keys = reinterpret_cast<const std::uint8_t*>(codes.data());
  tile.values = tile.keys;
  tile.key_scales = scales.data();
  tile.value_scales = scales.data();
  tile.scratch = scratch.data();
  tile.part = {max, sum, results.data()};
  table.attend_i8(tile);
  const double score = double{sign} * kAttentionMaxCode * 0.5 * 2.0 * 0.125 * static_cast<double>(head_dim);
  EXPECT_NEAR(double{max[0]}, score, std::fabs(score) * 5 * kRoundoff);
  EXPECT_EQ(sum[0], static_cast<float>(kAttentionChunk));
  const double result = double{sign} * kAttentionMaxCode * 0.5 * kAttentionChunk;
  for (std::size_t d = 0; d < n_columns; ++d) {
    ASSERT_NEAR(double{results[d]}, result, std::fabs(result) * 4 * kRoundoff) << d;
  }
}

TEST_P(AttentionTable, HoldsTheLargestSumsOfIntegers) {
  for (const std::size_t head_dim : {std::size_t{1}, std::size_t{128}, std::size_t{516}, std::size_t{517},
                                     kAttentionMaxHeadDim - 1, kAttentionMaxHeadDim}) {
    SCOPED_TRACE(head_dim);
    expect_the_largest_sums(table_, head_dim, 1.0f);
    expect_the_largest_sums(table_, head_dim, -1.0f);
  }
}

TEST_P(AttentionTable, RoundsAProductAndItsSumOnce) {
  // 1 + 2^-23 and a product a little below half of the last place: rounding the sum to a double first would make it a
  // tie, which goes up to the even 1 + 2^-22.
  constexpr std::size_t kDim = 2;
  GuardedArray<float> keys(kLanes * kDim);
  GuardedArray<float> values(value_dim(kDim));
  keys.data()[0] = 1.0f + 0x1p-23f;
  keys.data()[kLanes] = 0x1p-24f * (1.0f - 0x1p-23f);
  const float query[kDim] = {1.0f, 1.0f + 0x1p-23f};
  GuardedArray<float> scratch(attention_scratch(kDim)), results(kAttentionRows * value_dim(kDim));
  float max[kAttentionRows], sum[kAttentionRows];
  const std::size_t n_visible = 1;
  AttentionTile tile{};
  tile.head_dim = kDim;
  tile.n_rows = 1;
  tile.scale = 1.0f;
  std::fill_n(tile.queries, kAttentionRows, query);
  tile.n_visible = &n_visible;
  tile.keys = reinterpret_cast<const std::uint8_t*>(keys.data());
  tile.values = reinterpret_cast<const std::uint8_t*>(values.data());
  tile.scratch = scratch.data();
  tile.part = {max, sum, results.data()};
  table_.attend_f32(tile);
  EXPECT_EQ(max[0], 1.0f + 0x1p-23f);
  EXPECT_EQ(sum[0], 1.0f);
}

TEST_P(AttentionTable, WeighsByTheExponential) {
  // Two positions with scores 0 and x: the sum is 1 + exp(x), and the second result exp(x) itself.
  GuardedArray<float> keys(kLanes), values(2 * value_dim(1));
  values.data()[value_dim(1)] = 1.0f;
  const float query = 1.0f;
  GuardedArray<float> scratch(attention_scratch(1)), results(kAttentionRows * value_dim(1));
  float max[kAttentionRows], sum[kAttentionRows];
  const std::size_t n_visible = 2;
  AttentionTile tile{};
  tile.head_dim = 1;
  tile.n_rows = 1;
  tile.scale = 1.0f;
  std::fill_n(tile.queries, kAttentionRows, &query);
  tile.n_visible = &n_visible;
  tile.keys = reinterpret_cast<const std::uint8_t*>(keys.data());
  tile.values = reinterpret_cast<const std::uint8_t*>(values.data());
  tile.scratch = scratch.data();
  tile.part = {max, sum, results.data()};
  for (float x = -90.0f; x < 0.0f; x += 0.00317f) {
    keys.data()[1] = x;
    table_.attend_f32(tile);
    const double expected = x < kAttentionFloor ? 0.0 : std::exp(double{x});
    // exp to about 2.25 units of roundoff, as everywhere.
    ASSERT_NEAR(double{results.data()[0]}, expected, kSlack * kRoundoff * 2.25 * expected) << x;
    ASSERT_EQ(sum[0], 1.0f + results.data()[0]) << x;
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, AttentionTable, testing::ValuesIn(runnable_attention_kernels(usable_isa())),
                         [](const auto& test) { return test_name(test.param->name); });

}  // namespace
}  // namespace tern::kernels::test
