// Layout e5 against a decoder written from its description, and kernels that read it at the edges of its geometry.
#include "kernels/layout_e5.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "tests/kernels/ternary_case.h"

namespace tern::kernels::test {
namespace {

using Trits = std::array<int, 5>;

constexpr std::size_t kPatterns = 243;  // 3^5

Trits pattern(std::size_t number) {
  Trits trits = {};
  for (int& t : trits) {
    t = static_cast<int>(number % 3) - 1;
    number /= 3;
  }
  return trits;
}

/// The trits of a byte, from the drawing in layout_e5.h.
Trits trits_of(unsigned byte) {
  if (byte == 240) return {0, 0, 0, 0, 0};
  if (byte == 248) return {-1, 0, 0, 0, 0};
  if (byte == 252) return {1, 0, 0, 0, 0};
  const auto h = static_cast<int>(byte >> 3U);
  const int* pair = e5::kPairs[byte & 7U];
  if (h % 8 == 7) return {h / 8 - 1, pair[0], pair[1], 0, 0};
  const int rank = h - h / 8;
  return {rank % 3 - 1, rank / 3 % 3 - 1, rank / 9 - 1, pair[0], pair[1]};
}

/// The byte of five trits, as pack() makes it.
std::uint8_t byte_of(const Trits& trits) {
  std::uint8_t codes[e5::kSpanCols];
  std::fill(std::begin(codes), std::end(codes), std::uint8_t{1});
  for (std::size_t d = 0; d < trits.size(); ++d) codes[e5::kSpanGroups * d] = static_cast<std::uint8_t>(trits[d] + 1);
  std::vector<std::uint8_t> block(e5::block_bytes(e5::kSpanCols));
  kE5.pack(codes, e5::kSpanCols, 1, e5::kSpanCols, block.data());
  return block[0];
}

TEST(LayoutE5, GivesEveryPatternItsOwnByte) {
  std::set<unsigned> bytes;
  for (std::size_t i = 0; i < kPatterns; ++i) {
    const unsigned byte = byte_of(pattern(i));
    EXPECT_TRUE(e5::is_code(byte)) << byte;
    EXPECT_EQ(trits_of(byte), pattern(i)) << byte;
    bytes.insert(byte);
  }
  EXPECT_EQ(bytes.size(), kPatterns);
  for (unsigned byte = 0; byte < 256; ++byte) EXPECT_EQ(e5::is_code(byte), bytes.contains(byte)) << byte;
}

TEST(LayoutE5, LooksUpEveryPatternAsASumOfTwoEntries) {
  std::mt19937 random(20240611);
  std::vector<Trits> weights = {{1, 3, 9, 27, 81}, {8, 8, 8, 8, 8}, {-8, -8, -8, -8, -8}};
  for (std::size_t d = 0; d < 5; ++d) weights.emplace_back()[d] = 1;
  for (int i = 0; i < 50; ++i) {
    for (int& w : weights.emplace_back()) w = static_cast<int>(random() % 256) - 128;
  }
  for (const Trits& w : weights) {
    const e5::Tables tables = e5::make_tables(w[0], w[1], w[2], w[3], w[4]);
    for (std::size_t i = 0; i < kPatterns; ++i) {
      const Trits t = pattern(i);
      const unsigned byte = byte_of(t);
      const int sum = t[0] * w[0] + t[1] * w[1] + t[2] * w[2] + t[3] * w[3] + t[4] * w[4];
      const int looked_up = tables.a[byte >> 2U] + tables.b[byte & 63U];
      ASSERT_EQ(static_cast<std::uint8_t>(looked_up), static_cast<std::uint8_t>(sum)) << "byte " << byte;
    }
  }
}

// Narrow accumulators rely on it.
TEST(LayoutE5, AddsAtMostThreeColumnsInTableAAndTwoInTableB) {
  int a[64] = {};
  int b[64] = {};
  for (int d = 0; d < 5; ++d) {
    const e5::Tables tables = e5::make_tables(d == 0, d == 1, d == 2, d == 3, d == 4);
    for (std::size_t i = 0; i < 64; ++i) {
      a[i] += std::abs(static_cast<std::int8_t>(tables.a[i]));
      b[i] += std::abs(static_cast<std::int8_t>(tables.b[i]));
    }
  }
  EXPECT_EQ(*std::max_element(a, a + 64), 3);
  EXPECT_EQ(*std::max_element(b, b + 64), 2);
}

/// Codes of a packed block, (64, cols), and nothing but zeros in what fills up the spans.
std::vector<std::uint8_t> unpack(const std::vector<std::uint8_t>& block, std::size_t cols) {
  std::vector<std::uint8_t> codes(e5::kRows * cols, 9);
  for (std::size_t begin = 0, first = 0; begin < cols; begin += e5::kSpanCols) {
    const std::size_t n = std::min<std::size_t>(64, (cols - begin + 19) / 20 * 4);
    for (std::size_t g = 0; g < n; ++g) {
      for (std::size_t i = 0; i < e5::kRows; ++i) {
        const Trits trits = trits_of(block[(first + g) * 64 + i]);
        const std::size_t row = i % 4 + i / 4 % 4 * 16 + i / 16 * 4;
        for (std::size_t d = 0; d < trits.size(); ++d) {
          const std::size_t c = begin + d * n + g;
          if (c < cols) {
            codes[row * cols + c] = static_cast<std::uint8_t>(trits[d] + 1);
          } else {
            EXPECT_EQ(trits[d], 0) << "row " << row << ", column " << c << " of " << cols;
          }
        }
      }
    }
    first += n;
  }
  return codes;
}

TEST(LayoutE5, PacksEveryNumberOfColumns) {
  for (std::size_t cols = 1; cols <= 700; ++cols) {
    const Case c = random_case(e5::kRows, cols, 1, static_cast<std::uint32_t>(cols));
    std::vector<std::uint8_t> block(e5::block_bytes(cols), 0xFF);
    kE5.pack(c.codes.data(), cols, e5::kRows, cols, block.data());
    ASSERT_EQ(unpack(block, cols), c.codes) << c.name();
  }
}

TEST(LayoutE5, FillsUpRowsWithZeros) {
  for (const std::size_t cols : {1UL, 41UL, 320UL, 333UL, 700UL}) {
    for (std::size_t rows = 1; rows < e5::kRows; rows += 2) {
      Case c = random_case(rows, cols, 1, static_cast<std::uint32_t>(rows));
      std::vector<std::uint8_t> block(e5::block_bytes(cols), 0xFF);
      kE5.pack(c.codes.data(), cols, rows, cols, block.data());
      c.codes.resize(e5::kRows * cols, 1);
      ASSERT_EQ(unpack(block, cols), c.codes) << c.name();
    }
  }
}

TEST(LayoutE5, PacksRowsThatLieApart) {
  constexpr std::size_t kCols = 330;
  constexpr std::size_t kStride = 357;
  const Case wide = random_case(e5::kRows, kStride, 1, 12);
  std::vector<std::uint8_t> expected;
  for (std::size_t r = 0; r < e5::kRows; ++r) {
    const auto row = wide.codes.begin() + static_cast<std::ptrdiff_t>(r * kStride);
    expected.insert(expected.end(), row, row + kCols);
  }
  std::vector<std::uint8_t> block(e5::block_bytes(kCols));
  kE5.pack(wide.codes.data(), kStride, e5::kRows, kCols, block.data());
  EXPECT_EQ(unpack(block, kCols), expected);
}

/// `vpunpckl` and `vpunpckh` of two vectors in lanes of 16 bytes, for elements of `size` bytes.
using Vector = std::array<std::size_t, 64>;
Vector interleave(const Vector& a, const Vector& b, bool high, std::size_t size) {
  Vector mixed = {};
  for (std::size_t i = 0; i < 64; ++i) {
    const std::size_t element = i % 16 / size;
    const std::size_t source = i / 16 * 16 + (high ? 8 : 0) + element / 2 * size + i % size;
    mixed[i] = element % 2 == 0 ? a[source] : b[source];
  }
  return mixed;
}

TEST(LayoutE5, TurnsIntoRowsOfFourBytesByTwoInterleavings) {
  Vector groups[4];  // entry: row * 4 + group
  for (std::size_t g = 0; g < 4; ++g) {
    for (std::size_t i = 0; i < 64; ++i) groups[g][i] = e5::row_of_byte(i) * 4 + g;
  }
  for (std::size_t quarter = 0; quarter < 4; ++quarter) {
    const bool high = quarter >= 2;
    const Vector rows = interleave(interleave(groups[0], groups[1], high, 1), interleave(groups[2], groups[3], high, 1),
                                   quarter % 2 == 1, 2);
    for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(rows[i], quarter * 64 + i);
  }
}

class EveryE5Phase : public testing::TestWithParam<Phase> {
 protected:
  static void expect_exact(const Case& c) {
    EXPECT_EQ(multiply(*GetParam().kernel, GetParam().routine(), c), c.expected()) << c.name();
  }
};

std::vector<Phase> e5_phases_here() {
  std::vector<Phase> phases = phases_here();
  std::erase_if(phases, [](const Phase& phase) { return phase.kernel->layout != &kE5; });
  return phases;
}

// Halves of -8 and 8 in every column: byte and 16-bit sums reach their bounds, in runs of groups as long as there are.
TEST_P(EveryE5Phase, HoldsTheLargestSumsOfEveryRun) {
  for (const std::size_t cols : {15UL, 320UL, 4040UL, 4050UL, 8080UL}) {
    for (const int x : {120, -120, 8, -8, 127, -127}) {
      Case c = constant_case(66, cols, 9, 2, static_cast<std::int8_t>(x));
      std::fill_n(c.codes.begin(), cols, std::uint8_t{0});
      for (std::size_t i = 0; i < cols; ++i) c.codes[cols + i] = i % 2 == 0 ? 2 : 0;
      expect_exact(c);
    }
  }
}

TEST_P(EveryE5Phase, KnowsEveryPatternOfFiveTrits) {
  for (const std::size_t cols : {5UL, 320UL}) {
    const std::size_t n = e5::span_groups(cols);
    Case c = constant_case(kPatterns, 5 * n, 1, 1, 0);
    for (std::size_t d = 0, power = 1; d < 5; ++d, power *= 3) {
      c.x[d * n] = static_cast<std::int8_t>(power);  // no two patterns have the same sum
      for (std::size_t i = 0; i < kPatterns; ++i) {
        c.codes[i * c.cols + d * n] = static_cast<std::uint8_t>(pattern(i)[d] + 1);
      }
    }
    const std::vector<std::int32_t> y = multiply(*GetParam().kernel, GetParam().routine(), c);
    for (std::size_t i = 0; i < kPatterns; ++i) EXPECT_EQ(y[i], static_cast<std::int32_t>(i) - 121);
  }
}

TEST_P(EveryE5Phase, EqualsTheOracleForEveryNumberOfBlocksAndTokens) {
  for (std::size_t blocks = 1; blocks <= 18; ++blocks) {
    expect_exact(random_case(64 * blocks - blocks % 3, 25, 20 - blocks, static_cast<std::uint32_t>(blocks)));
  }
}

INSTANTIATE_TEST_SUITE_P(Ternary, EveryE5Phase, testing::ValuesIn(e5_phases_here()),
                         [](const auto& phase) { return phase.param.name(); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryE5Phase);  // where no kernel that reads the layout can run

}  // namespace
}  // namespace tern::kernels::test
