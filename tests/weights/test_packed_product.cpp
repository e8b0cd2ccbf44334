// A tensor's bytes, repacked and multiplied by every kernel that runs here, against the plainest product.

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "kernels/dispatch.h"
#include "src/base/aligned_buffer.h"
#include "src/base/checked_math.h"
#include "src/weights/ternary_matrix.h"
#include "tests/support/bytes.h"

namespace tern::weights {
namespace {

constexpr std::size_t kRows = 150;  // fills no kernel's last block of rows
constexpr std::size_t kCols = 512;
constexpr std::size_t kReadPast = 64;  // bytes that a kernel may read behind its operands

/// A TQ1_0 tensor of random digits; f16 scales of 1, or of 2 in the first block of every row.
struct Tq1Tensor {
  std::vector<std::byte> bytes;
  format::TensorInfo info;

  explicit Tq1Tensor(bool scale_per_block) : bytes(kRows * kCols / 256 * 54) {
    test::Random random(5);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
    for (std::size_t block = 0; block < bytes.size() / 54; ++block) {
      const std::uint16_t scale = scale_per_block && block % 2 == 0 ? 0x4000 : 0x3c00;
      std::memcpy(bytes.data() + block * 54 + 52, &scale, sizeof scale);
    }
    info.name = "t";
    info.type = 34;
    info.dims = {kCols, kRows, 1, 1};
    info.n_dims = 2;
    info.n_elements = kRows * kCols;
    info.data = bytes;
  }
};

/// A sink for one token whose context is (rows).
void copy_sums(void* context, std::size_t /*token*/, std::size_t row, std::size_t n_rows, const std::int32_t* sums) {
  std::memcpy(static_cast<std::int32_t*>(context) + row, sums, n_rows * sizeof *sums);
}

/// One packed block of columns times x, (1, matrix.block_cols), by one of a kernel's routines.
std::vector<std::int32_t> multiply(const kernels::TernaryRoutine& routine, const TernaryMatrix& matrix,
                                   std::size_t block, const std::int8_t* x) {
  const std::size_t cols = matrix.block_cols;
  AlignedBuffer<std::uint8_t> operand(routine.operand_bytes(1, cols) + kReadPast);
  AlignedBuffer<std::uint8_t> scratch(routine.scratch_bytes(cols) + kReadPast);
  routine.prepare(x, 1, cols, 0, 1, operand.data());
  std::vector<std::int32_t> y(matrix.rows);
  routine.multiply({.weights = matrix.weights.data(),
                    .operand = operand.data(),
                    .n_tokens = 1,
                    .cols = cols,
                    .row_begin = 0,
                    .row_end = matrix.rows,
                    .token_begin = 0,
                    .token_end = 1,
                    .sink = {copy_sums, y.data()},
                    .scratch = scratch.data(),
                    .col_block = block,
                    .n_col_blocks = matrix.n_col_blocks});
  return y;
}

class PackedProduct : public testing::TestWithParam<const kernels::TernaryKernel*> {};

TEST_P(PackedProduct, EqualsTheProductOfTheCodes) {
  const kernels::TernaryKernel& kernel = *GetParam();
  const TensorCodec& codec = *find_codec(34);
  test::Random random(6);
  std::vector<std::int8_t> x(kCols);
  for (std::int8_t& value : x) value = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);

  for (const bool scale_per_block : {false, true}) {
    const Tq1Tensor tensor(scale_per_block);
    ScalePlan plan = plan_scales("file", tensor.info, codec);
    ASSERT_EQ(plan.n_col_blocks, scale_per_block ? 2u : 1u);
    AlignedBuffer<std::uint8_t> memory(packed_bytes(*kernel.layout, kRows, kCols, plan) + kReadPast);
    const TernaryMatrix matrix = make_ternary_matrix(*kernel.layout, kRows, kCols, std::move(plan), memory.span());
    std::vector<std::uint8_t> scratch(pack_scratch_bytes(matrix));
    ASSERT_EQ(pack_rows(tensor.info, codec, 0, kRows, matrix, scratch), std::nullopt);

    for (std::size_t block = 0; block < matrix.n_col_blocks; ++block) {
      const std::size_t first = block * matrix.block_cols;
      std::vector<std::uint8_t> codes(kRows * matrix.block_cols);
      for (std::size_t row = 0; row < kRows; ++row) {
        std::vector<std::uint8_t> whole(kCols);
        codec.unpack_row(tensor.bytes.data(), row, kCols, whole.data());
        std::copy_n(whole.data() + first, matrix.block_cols, codes.data() + row * matrix.block_cols);
      }
      std::vector<std::int32_t> expected(kRows);
      kernels::reference_product(codes.data(), kRows, matrix.block_cols, x.data() + first, 1, expected.data());
      for (const kernels::TernaryRoutine& routine : {kernel.decode, kernel.prompt}) {
        if (routine.multiply == nullptr) continue;
        EXPECT_EQ(multiply(routine, matrix, block, x.data() + first), expected);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, PackedProduct,
                         testing::ValuesIn(kernels::runnable_ternary_kernels(kernels::usable_isa())),
                         [](const auto& test) {
                           std::string name;
                           for (const char c : std::string_view(test.param->name)) name += c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace tern::weights
