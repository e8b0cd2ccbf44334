// Every ternary kernel that can run here equals the oracle, bit for bit. A new kernel is tested by being in the list of
// dispatch.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/kernels/ternary_case.h"

namespace tern::kernels::test {
namespace {

class EveryPhase : public testing::TestWithParam<Phase> {
 protected:
  [[nodiscard]] static std::vector<std::int32_t> run(const Case& c, Cut cut = {}) {
    return multiply(*GetParam().kernel, GetParam().routine(), c, cut);
  }
  static void expect_exact(const Case& c) { EXPECT_EQ(run(c), c.expected()) << c.name(); }
};

constexpr std::size_t kEdgeRows[] = {1, 2, 3, 8, 15, 16, 17, 63, 64, 65, 127, 128, 130};
constexpr std::size_t kEdgeTokens[] = {1,  2,  3,  4,  5,  6,  7,   8,   9,   15,  16,
                                       17, 31, 32, 33, 64, 70, 126, 127, 128, 129, 257};

TEST_P(EveryPhase, EqualsTheOracleForEveryNumberOfColumns) {
  for (std::size_t cols = 1; cols <= 200; ++cols) {
    expect_exact(random_case(67, cols, 1 + cols % 5, static_cast<std::uint32_t>(cols)));
  }
}

TEST_P(EveryPhase, EqualsTheOracleForLongRows) {
  for (const std::size_t cols :
       {211UL, 255UL, 256UL, 257UL, 509UL, 1000UL, 1021UL, 2560UL, 2563UL, 4080UL, 4081UL, 4093UL, 6912UL}) {
    expect_exact(random_case(66, cols, 2, static_cast<std::uint32_t>(cols)));
  }
}

TEST_P(EveryPhase, EqualsTheOracleForFewTokensAndLongRows) {
  for (std::size_t tokens = 1; tokens <= 9; ++tokens) {
    for (const std::size_t cols : {319UL, 320UL, 321UL, 639UL, 640UL, 641UL, 959UL, 1281UL, 2570UL}) {
      expect_exact(random_case(66, cols, tokens, static_cast<std::uint32_t>(tokens * 10000 + cols)));
    }
  }
}

TEST_P(EveryPhase, EqualsTheOracleForEveryNumberOfRows) {
  for (const std::size_t rows : kEdgeRows) {
    expect_exact(random_case(rows, 97, 3, static_cast<std::uint32_t>(rows)));
  }
}

TEST_P(EveryPhase, EqualsTheOracleForEveryNumberOfTokens) {
  for (const std::size_t tokens : kEdgeTokens) {
    expect_exact(random_case(70, 101, tokens, static_cast<std::uint32_t>(tokens)));
  }
}

TEST_P(EveryPhase, EqualsTheOracleForManyRows) {
  expect_exact(random_case(9001, 29, 5, 1));  // more rows than any kernel takes at a time
}

// The largest sums there are, in both directions: the bounds of every narrow accumulator are met exactly.
TEST_P(EveryPhase, HoldsTheLargestSums) {
  for (const std::size_t cols : {128UL, 256UL, 257UL, 2560UL, 6912UL}) {
    for (const std::uint8_t code : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{2}}) {
      for (const std::int8_t x : {std::int8_t{-127}, std::int8_t{127}}) {
        expect_exact(constant_case(65, cols, 3, code, x));
      }
    }
  }
}

// Activations whose halves are the largest that addsub kernels split them into (+-8 + 16 * +-8), and the signs that add
// them up.
TEST_P(EveryPhase, HoldsTheLargestHalves) {
  for (const int x : {8, -8, 120, -120, 7, 119, 121}) {
    Case c = random_case(64, 6912, 2, static_cast<std::uint32_t>(x + 200));
    for (std::size_t i = 0; i < c.cols; ++i) {
      const bool negative = c.codes[i] == 0;
      c.codes[i] = negative ? 0 : 2;  // row 0 is aligned with the signs of the activations
      c.x[i] = static_cast<std::int8_t>(negative ? -x : x);
    }
    expect_exact(c);
  }
}

TEST_P(EveryPhase, HoldsSignsAlignedWithARow) {
  Case c = random_case(64, 6911, 4, 7);
  for (std::size_t t = 0; t < c.tokens; ++t) {
    for (std::size_t i = 0; i < c.cols; ++i) {
      c.x[t * c.cols + i] = static_cast<std::int8_t>((c.codes[t * 16 * c.cols + i] - 1) * 127);
    }
  }
  expect_exact(c);
}

TEST_P(EveryPhase, KnowsEveryPatternOfFourTrits) {
  constexpr std::size_t kPatterns = 81;
  for (std::size_t shift = 0; shift < 4; ++shift) {  // at every place within a group of columns
    Case c = constant_case(kPatterns, 4 + shift, 1, 1, 0);
    for (std::size_t pattern = 0; pattern < kPatterns; ++pattern) {
      for (std::size_t i = 0, rest = pattern; i < 4; ++i, rest /= 3) {
        c.codes[pattern * c.cols + shift + i] = static_cast<std::uint8_t>(rest % 3);
      }
    }
    // Powers of three: no two patterns have the same sum.
    for (std::size_t i = 0, power = 1; i < 4; ++i, power *= 3) {
      c.x[shift + i] = static_cast<std::int8_t>(power);
    }
    const std::vector<std::int32_t> y = run(c);
    for (std::size_t pattern = 0; pattern < kPatterns; ++pattern) {
      EXPECT_EQ(y[pattern], static_cast<std::int32_t>(pattern) - 40) << "shift " << shift;
    }
  }
}

// Rows so long that every accumulator is emptied into the next wider one, with the largest values.
TEST_P(EveryPhase, HoldsVeryLongRows) {
  for (const std::size_t cols : {std::size_t{530'000}, kMaxCols / 4 + 5}) {
    expect_exact(constant_case(2, cols, 1, 2, 127));
    expect_exact(constant_case(2, cols, 1, 0, 127));
    expect_exact(random_case(2, cols, 1, 11));
  }
}

TEST_P(EveryPhase, GivesTheSameBitsHoweverRowsAndPartsAreCut) {
  const Case c = random_case(331, 515, 70, 5);
  const std::vector<std::int32_t> expected = c.expected();
  for (const std::size_t parts : {1UL, 2UL, 3UL, 4UL, 7UL}) {
    for (const std::size_t piece_blocks : {1UL, 2UL, 3UL, 100UL}) {
      EXPECT_EQ(run(c, {.parts = parts, .piece_blocks = piece_blocks, .cut_tokens = piece_blocks % 2 == 1}), expected)
          << c.name() << ", " << parts << " parts, pieces of " << piece_blocks << " blocks";
    }
  }
}

TEST_P(EveryPhase, AcceptsMorePartsThanColumns) {
  const Case c = random_case(5, 1, 1, 9);
  EXPECT_EQ(run(c, {.parts = 4}), c.expected());
}

TEST_P(EveryPhase, EqualsTheOracleForRandomShapes) {
  std::mt19937 random(20240607);
  for (std::uint32_t i = 0; i < 60; ++i) {
    expect_exact(random_case(1 + random() % 200, 1 + random() % 1500, 1 + random() % 40, i));
  }
}

INSTANTIATE_TEST_SUITE_P(Ternary, EveryPhase, testing::ValuesIn(phases_here()),
                         [](const auto& phase) { return phase.param.name(); });

TEST(Oracle, ComputesAProductDoneByHand) {
  const std::uint8_t codes[] = {0, 1, 2, 2, 2, 0};  // -1 0 +1 | +1 +1 -1
  const std::int8_t x[] = {5, 7, -11, 127, -127, 1};
  std::int32_t y[4] = {};
  reference_product(codes, 2, 3, x, 2, y);
  EXPECT_EQ(y[0], -16);
  EXPECT_EQ(y[1], 23);
  EXPECT_EQ(y[2], -126);
  EXPECT_EQ(y[3], -1);
}

TEST(Layouts, FillBlocksOfWholeCacheLines) {
  for (const TernaryKernel* kernel : all_ternary_kernels()) {
    for (const std::size_t cols : {1UL, 4UL, 63UL, 64UL, 65UL, 2560UL, 6912UL}) {
      const TernaryLayout& layout = *kernel->layout;
      EXPECT_EQ(layout.block_bytes(cols) % 64, 0U) << kernel->name << ", cols " << cols;
      const auto bits = static_cast<double>(layout.row_block * cols) * layout.bits_per_weight;
      EXPECT_GE(static_cast<double>(layout.block_bytes(cols)) * 8, bits) << kernel->name << ", cols " << cols;
    }
  }
}

// Padding is part of the contract: rows and columns beyond the matrix are zeros, so that equal matrices are equal
// bytes.
TEST(Layouts, PackTheSameBytesWhateverTheBlockHeld) {
  const Case c = random_case(37, 61, 1, 3);
  for (const TernaryKernel* kernel : all_ternary_kernels()) {
    const TernaryLayout& layout = *kernel->layout;
    const std::size_t n_rows = std::min(c.rows, layout.row_block);
    std::vector<std::uint8_t> a(layout.block_bytes(c.cols), 0x00);
    std::vector<std::uint8_t> b(layout.block_bytes(c.cols), 0xFF);
    layout.pack(c.codes.data(), c.cols, n_rows, c.cols, a.data());
    layout.pack(c.codes.data(), c.cols, n_rows, c.cols, b.data());
    EXPECT_EQ(a, b) << kernel->name;
  }
}

}  // namespace
}  // namespace tern::kernels::test
