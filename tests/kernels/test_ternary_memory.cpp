// Kernels read and write nothing but what the contract in kernels.h grants.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/kernels/guarded_array.h"
#include "tests/kernels/ternary_case.h"

namespace tern::kernels::test {
namespace {

constexpr std::size_t kCanaryBytes = 256;
constexpr std::uint8_t kCanary = 0xC7;

/// `size` bytes, 64-byte aligned, with canaries on both sides.
class CanaryBuffer {
 public:
  explicit CanaryBuffer(std::size_t size) : bytes_(size + 2 * kCanaryBytes), size_(size) {
    std::ranges::fill(bytes_.span(), kCanary);
  }
  [[nodiscard]] std::uint8_t* data() { return bytes_.data() + kCanaryBytes; }
  [[nodiscard]] bool intact() const {
    const auto is_canary = [](std::uint8_t byte) { return byte == kCanary; };
    const auto bytes = bytes_.span();
    return std::ranges::all_of(bytes.first(kCanaryBytes), is_canary) &&
           std::ranges::all_of(bytes.subspan(kCanaryBytes + size_), is_canary);
  }

 private:
  AlignedBuffer<std::uint8_t> bytes_;
  std::size_t size_;
};

class EveryPhaseMemory : public testing::TestWithParam<Phase> {};

constexpr std::size_t kShapes[][3] = {  // rows, cols, tokens
    {1, 1, 1}, {3, 5, 2}, {63, 64, 7}, {64, 67, 33}, {65, 1000, 9}, {130, 257, 70}};

TEST_P(EveryPhaseMemory, ReadsNothingBehindTheActivations) {
  const TernaryRoutine& routine = GetParam().routine();
  for (const auto& [rows, cols, tokens] : kShapes) {
    const Case c = random_case(rows, cols, tokens, 21);
    GuardedArray<std::int8_t> x(c.x);
    AlignedBuffer<std::uint8_t> operand(routine.operand_bytes(tokens, cols));
    std::ranges::fill(operand.span(), std::uint8_t{0xA5});
    routine.prepare(x.data(), tokens, cols, 0, 1, operand.data());
    const AlignedBuffer<std::uint8_t> weights = pack(*GetParam().kernel->layout, c);
    AlignedBuffer<std::uint8_t> scratch(routine.scratch_bytes(cols));
    std::vector<std::int32_t> y(tokens * rows);
    routine.multiply({weights.data(), operand.data(), tokens, cols, 0, rows, y.data(), rows, scratch.data()});
    EXPECT_EQ(y, c.expected()) << c.name();
  }
}

TEST_P(EveryPhaseMemory, ReadsAtMost64BytesBehindTheWeights) {
  const TernaryRoutine& routine = GetParam().routine();
  for (const auto& [rows, cols, tokens] : kShapes) {
    const Case c = random_case(rows, cols, tokens, 22);
    const AlignedBuffer<std::uint8_t> packed = pack(*GetParam().kernel->layout, c);
    GuardedArray<std::uint8_t> weights(packed.size() + 64);
    std::memcpy(weights.data(), packed.data(), packed.size());
    const AlignedBuffer<std::uint8_t> operand = prepare(routine, c, 1);
    AlignedBuffer<std::uint8_t> scratch(routine.scratch_bytes(cols));
    std::vector<std::int32_t> y(tokens * rows);
    routine.multiply({weights.data(), operand.data(), tokens, cols, 0, rows, y.data(), rows, scratch.data()});
    EXPECT_EQ(y, c.expected()) << c.name();
  }
}

TEST_P(EveryPhaseMemory, WritesOnlyOperandScratchAndItsResults) {
  const TernaryRoutine& routine = GetParam().routine();
  for (const auto& [rows, cols, tokens] : kShapes) {
    const Case c = random_case(rows, cols, tokens, 23);
    const std::size_t block_bytes = GetParam().kernel->layout->block_bytes(cols);
    const std::size_t row_block = GetParam().kernel->layout->row_block;
    CanaryBuffer weights((rows + row_block - 1) / row_block * block_bytes + 64);
    for (std::size_t row = 0; row < rows; row += row_block) {
      GetParam().kernel->layout->pack(c.codes.data() + row * cols, cols, std::min(row_block, rows - row), cols,
                                      weights.data() + row / row_block * block_bytes);
    }
    CanaryBuffer operand(routine.operand_bytes(tokens, cols));
    routine.prepare(c.x.data(), tokens, cols, 0, 1, operand.data());
    CanaryBuffer scratch(routine.scratch_bytes(cols));
    CanaryBuffer y(tokens * rows * sizeof(std::int32_t));
    routine.multiply({weights.data(), operand.data(), tokens, cols, 0, rows, reinterpret_cast<std::int32_t*>(y.data()),
                      rows, scratch.data()});
    EXPECT_EQ(std::memcmp(y.data(), c.expected().data(), tokens * rows * sizeof(std::int32_t)), 0) << c.name();
    EXPECT_TRUE(weights.intact() && operand.intact() && scratch.intact() && y.intact()) << c.name();
  }
}

TEST_P(EveryPhaseMemory, LeavesGapsBetweenResultsAlone) {
  const TernaryRoutine& routine = GetParam().routine();
  const Case c = random_case(70, 45, 11, 24);
  const std::size_t row_block = GetParam().kernel->layout->row_block;
  const std::size_t begin = 64 / row_block * row_block;  // only the last few rows
  const std::size_t stride = c.rows + 13;
  const AlignedBuffer<std::uint8_t> weights = pack(*GetParam().kernel->layout, c);
  const AlignedBuffer<std::uint8_t> operand = prepare(routine, c, 2);
  AlignedBuffer<std::uint8_t> scratch(routine.scratch_bytes(c.cols));
  constexpr std::int32_t kUntouched = -77'777'777;
  std::vector<std::int32_t> y(c.tokens * stride, kUntouched);
  routine.multiply({weights.data(), operand.data(), c.tokens, c.cols, begin, c.rows, y.data(), stride, scratch.data()});
  const std::vector<std::int32_t> expected = c.expected();
  for (std::size_t t = 0; t < c.tokens; ++t) {
    for (std::size_t r = 0; r < stride; ++r) {
      const bool written = r >= begin && r < c.rows;
      ASSERT_EQ(y[t * stride + r], written ? expected[t * c.rows + r] : kUntouched) << "token " << t << ", row " << r;
    }
  }
}

TEST_P(EveryPhaseMemory, TakesActivationsAndResultsAtAnyAddress) {
  const TernaryRoutine& routine = GetParam().routine();
  const Case c = random_case(77, 131, 35, 25);
  const AlignedBuffer<std::uint8_t> weights = pack(*GetParam().kernel->layout, c);
  AlignedBuffer<std::uint8_t> scratch(routine.scratch_bytes(c.cols));
  for (std::size_t offset = 1; offset < 16; offset += 2) {
    std::vector<std::int8_t> x(offset + c.x.size());
    std::ranges::copy(c.x, x.begin() + static_cast<std::ptrdiff_t>(offset));
    AlignedBuffer<std::uint8_t> operand(routine.operand_bytes(c.tokens, c.cols));
    routine.prepare(x.data() + offset, c.tokens, c.cols, 0, 1, operand.data());
    std::vector<std::int32_t> y(offset + c.tokens * c.rows);  // aligned as int32, and no better
    routine.multiply(
        {weights.data(), operand.data(), c.tokens, c.cols, 0, c.rows, y.data() + offset, c.rows, scratch.data()});
    y.erase(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(offset));
    EXPECT_EQ(y, c.expected()) << "offset " << offset;
  }
}

INSTANTIATE_TEST_SUITE_P(Ternary, EveryPhaseMemory, testing::ValuesIn(phases_here()),
                         [](const auto& phase) { return phase.param.name(); });

}  // namespace
}  // namespace tern::kernels::test
