// Products with scales per block of columns, in one go, against one product a block whose sums are scaled and added in
// plain C++: bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>

#include "src/base/checked_math.h"
#include "tests/kernels/ternary_case.h"

namespace tern::kernels::test {
namespace {

constexpr float kUntouched = 12345.0f;

/// A product in blocks of columns.
struct BlocksCase {
  std::size_t rows, block_cols, n_blocks, tokens;
  std::vector<Case> blocks{};               // the columns of each
  std::vector<double> steps{};              // (n_blocks, tokens)
  std::vector<std::uint16_t> row_scales{};  // f16 (n_blocks, rows)

  BlocksCase(std::size_t n_rows, std::size_t cols, std::size_t n, std::size_t n_tokens)
      : rows(n_rows), block_cols(cols), n_blocks(n), tokens(n_tokens) {
    std::mt19937 random(static_cast<std::uint32_t>(rows + cols * n + tokens));
    for (std::size_t b = 0; b < n; ++b) {
      blocks.push_back(random_case(rows, cols, tokens, static_cast<std::uint32_t>(random())));
    }
    for (std::size_t i = 0; i < n * tokens; ++i) steps.push_back(static_cast<double>(random() % 1000 + 1) / 7777.0);
    for (std::size_t i = 0; i < n * rows; ++i) {  // of any exponent; many are 0, which leaves zeros of either sign
      row_scales.push_back(static_cast<std::uint16_t>(random() % 3 == 0 ? 0 : random() % 0x7C00));
    }
  }

  [[nodiscard]] std::string name() const {
    return std::to_string(rows) + " rows, " + std::to_string(n_blocks) + " blocks of " + std::to_string(block_cols) +
           ", " + std::to_string(tokens) + " tokens";
  }

  /// (tokens, rows)
  [[nodiscard]] std::vector<float> expected() const {
    std::vector<float> y(tokens * rows);
    const FloatKernels& floats = *all_float_kernels().back();  // plain C++
    for (std::size_t b = 0; b < n_blocks; ++b) {
      const std::vector<std::int32_t> sums = blocks[b].expected();
      for (std::size_t t = 0; t < tokens; ++t) {
        floats.add_scaled_sums(sums.data() + t * rows, rows, static_cast<float>(steps[b * tokens + t]),
                               row_scales.data() + b * rows, b > 0, y.data() + t * rows);
      }
    }
    return y;
  }

  /// Block of rows by block of rows, the blocks of columns of each one after the other.
  [[nodiscard]] AlignedBuffer<std::uint8_t> packed(const TernaryLayout& layout) const {
    const std::size_t bytes = layout.block_bytes(block_cols);
    const std::size_t n_row_blocks = (rows + layout.row_block - 1) / layout.row_block;
    AlignedBuffer<std::uint8_t> weights(n_row_blocks * n_blocks * bytes);
    for (std::size_t b = 0; b < n_blocks; ++b) {
      const AlignedBuffer<std::uint8_t> block = pack(layout, blocks[b]);
      for (std::size_t r = 0; r < n_row_blocks; ++r) {
        std::copy_n(block.data() + r * bytes, bytes, weights.data() + (r * n_blocks + b) * bytes);
      }
    }
    return weights;
  }
};

class EveryScaledPhase : public testing::TestWithParam<Phase> {
 protected:
  /// (tokens, rows + 1), of which the last column is to stay as it is. cut: into single blocks of rows and the smallest
  /// pieces of tokens
  static std::vector<float> run(const BlocksCase& c, bool cut) {
    const TernaryKernel& kernel = *GetParam().kernel;
    const TernaryRoutine& routine = GetParam().routine();
    const std::size_t operand_bytes = round_up(routine.operand_bytes(c.tokens, c.block_cols), std::size_t{64});
    AlignedBuffer<std::uint8_t> operand(c.n_blocks * operand_bytes);
    std::ranges::fill(operand.span(), std::uint8_t{0xA5});
    for (std::size_t b = 0; b < c.n_blocks; ++b) {
      routine.prepare(c.blocks[b].x.data(), c.tokens, c.block_cols, 0, 1, operand.data() + b * operand_bytes);
    }
    const AlignedBuffer<std::uint8_t> weights = c.packed(*kernel.layout);
    AlignedBuffer<std::uint8_t> scratch(routine.scratch_bytes(c.block_cols));
    std::ranges::fill(scratch.span(), std::uint8_t{0xA5});
    std::vector<float> y(c.tokens * (c.rows + 1), kUntouched);
    const std::size_t piece = cut ? kernel.layout->row_block : c.rows;
    const std::size_t tokens = cut ? routine.grain(c.tokens, c.block_cols).tokens : c.tokens;
    for (std::size_t row = 0; row < c.rows; row += piece) {
      for (std::size_t token = 0; token < c.tokens; token += tokens) {
        routine.multiply_scaled({.weights = weights.data(),
                                 .operand = operand.data(),
                                 .n_tokens = c.tokens,
                                 .cols = c.block_cols,
                                 .row_begin = row,
                                 .row_end = std::min(row + piece, c.rows),
                                 .token_begin = token,
                                 .token_end = std::min(token + tokens, c.tokens),
                                 .sink = {},
                                 .scratch = scratch.data(),
                                 .n_col_blocks = c.n_blocks},
                                {.operand_bytes = operand_bytes,
                                 .steps = c.steps.data(),
                                 .row_scales = c.row_scales.data(),
                                 .n_rows = c.rows,
                                 .y = y.data(),
                                 .stride = c.rows + 1,
                                 .add_scaled_sums = all_float_kernels().back()->add_scaled_sums});
      }
    }
    return y;
  }

  static void expect_same_bits(const BlocksCase& c, bool cut = false) {
    const std::vector<float> expected = c.expected();
    const std::vector<float> found = run(c, cut);
    for (std::size_t t = 0; t < c.tokens; ++t) {
      for (std::size_t r = 0; r < c.rows; ++r) {
        const float want = expected[t * c.rows + r];
        const float got = found[t * (c.rows + 1) + r];
        ASSERT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(want))
            << c.name() << ": row " << r << " of token " << t << ": " << got << " instead of " << want;
      }
      ASSERT_EQ(found[t * (c.rows + 1) + c.rows], kUntouched) << c.name() << ": written past token " << t;
    }
  }
};

TEST_P(EveryScaledPhase, AddsUpBlocksOfEverySize) {
  for (const std::size_t cols : {1UL, 20UL, 32UL, 64UL, 100UL, 128UL, 256UL, 320UL, 512UL, 700UL, 1300UL}) {
    for (const std::size_t n_blocks : {1UL, 2UL, 3UL, 7UL}) expect_same_bits({70, cols, n_blocks, 1 + cols % 9});
  }
}

TEST_P(EveryScaledPhase, AddsUpManyBlocks) {
  expect_same_bits({130, 64, 108, 1});
  expect_same_bits({130, 128, 54, 2});
  expect_same_bits({130, 256, 27, 33});
}

TEST_P(EveryScaledPhase, TakesEveryNumberOfRows) {
  for (const std::size_t rows : {1UL, 16UL, 31UL, 32UL, 33UL, 63UL, 64UL, 65UL, 127UL, 128UL, 129UL, 192UL, 2600UL}) {
    expect_same_bits({rows, 128, 3, 3});
    expect_same_bits({rows, 128, 2, 40}, true);
  }
}

TEST_P(EveryScaledPhase, TakesEveryNumberOfTokens) {
  for (const std::size_t tokens :
       {1UL, 2UL, 4UL, 5UL, 8UL, 9UL, 16UL, 17UL, 31UL, 32UL, 33UL, 48UL, 65UL, 128UL, 129UL, 300UL}) {
    expect_same_bits({67, 128, 3, tokens});
    expect_same_bits({130, 64, 2, tokens}, true);
  }
}

std::vector<Phase> scaled_phases() {
  std::vector<Phase> phases = phases_here();
  std::erase_if(phases, [](const Phase& phase) { return phase.routine().multiply_scaled == nullptr; });
  return phases;
}

INSTANTIATE_TEST_SUITE_P(Kernels, EveryScaledPhase, testing::ValuesIn(scaled_phases()),
                         [](const auto& param_info) { return param_info.param.name(); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryScaledPhase);

}  // namespace
}  // namespace tern::kernels::test
