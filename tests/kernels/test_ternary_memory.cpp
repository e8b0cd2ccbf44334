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
    Results results{y.data(), rows};
    routine.multiply(
        {weights.data(), operand.data(), tokens, cols, 0, rows, 0, tokens, results.sink(), scratch.data()});
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
    Results results{y.data(), rows};
    routine.multiply(
        {weights.data(), operand.data(), tokens, cols, 0, rows, 0, tokens, results.sink(), scratch.data()});
    EXPECT_EQ(y, c.expected()) << c.name();
  }
}

TEST_P(EveryPhaseMemory, WritesOnlyOperandAndScratch) {
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
    std::vector<std::int32_t> y(tokens * rows);
    Results results{y.data(), rows};
    routine.multiply(
        {weights.data(), operand.data(), tokens, cols, 0, rows, 0, tokens, results.sink(), scratch.data()});
    EXPECT_EQ(y, c.expected()) << c.name();
    EXPECT_TRUE(weights.intact() && operand.intact() && scratch.intact()) << c.name();
  }
}

TEST_P(EveryPhaseMemory, GivesEveryResultOnceAndNoOther) {
  const TernaryRoutine& routine = GetParam().routine();
  const Case c = random_case(70, 45, 70, 24);
  const std::size_t row_begin = 64 / GetParam().kernel->layout->row_block * GetParam().kernel->layout->row_block;
  const Grain grain = routine.grain(c.tokens, c.cols);
  const std::size_t token_begin = grain.tokens < c.tokens ? grain.tokens : 0;
  const AlignedBuffer<std::uint8_t> weights = pack(*GetParam().kernel->layout, c);
  const AlignedBuffer<std::uint8_t> operand = prepare(routine, c, 2);
  AlignedBuffer<std::uint8_t> scratch(routine.scratch_bytes(c.cols));
  std::vector<int> n_given(c.tokens * c.rows);
  const auto count = [](void* context, std::size_t token, std::size_t row, std::size_t n_rows, const std::int32_t*) {
    for (std::size_t r = row; r < row + n_rows; ++r) static_cast<std::vector<int>*>(context)->at(token * 70 + r) += 1;
  };
  routine.multiply({weights.data(),
                    operand.data(),
                    c.tokens,
                    c.cols,
                    row_begin,
                    c.rows,
                    token_begin,
                    c.tokens,
                    {count, &n_given},
                    scratch.data()});
  for (std::size_t t = 0; t < c.tokens; ++t) {
    for (std::size_t r = 0; r < c.rows; ++r) {
      ASSERT_EQ(n_given[t * c.rows + r], r >= row_begin && t >= token_begin ? 1 : 0) << "token " << t << ", row " << r;
    }
  }
}

TEST_P(EveryPhaseMemory, TakesActivationsAtAnyAddress) {
  const TernaryRoutine& routine = GetParam().routine();
  const Case c = random_case(77, 131, 35, 25);
  const AlignedBuffer<std::uint8_t> weights = pack(*GetParam().kernel->layout, c);
  AlignedBuffer<std::uint8_t> scratch(routine.scratch_bytes(c.cols));
  for (std::size_t offset = 1; offset < 16; offset += 2) {
    std::vector<std::int8_t> x(offset + c.x.size());
    std::ranges::copy(c.x, x.begin() + static_cast<std::ptrdiff_t>(offset));
    AlignedBuffer<std::uint8_t> operand(routine.operand_bytes(c.tokens, c.cols));
    routine.prepare(x.data() + offset, c.tokens, c.cols, 0, 1, operand.data());
    std::vector<std::int32_t> y(c.tokens * c.rows);
    Results results{y.data(), c.rows};
    routine.multiply(
        {weights.data(), operand.data(), c.tokens, c.cols, 0, c.rows, 0, c.tokens, results.sink(), scratch.data()});
    EXPECT_EQ(y, c.expected()) << "offset " << offset;
  }
}

INSTANTIATE_TEST_SUITE_P(Ternary, EveryPhaseMemory, testing::ValuesIn(phases_here()),
                         [](const auto& phase) { return phase.param.name(); });

}  // namespace
}  // namespace tern::kernels::test
