#include "src/weights/ternary_matrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "src/base/half.h"
#include "src/base/thread_pool.h"
#include "tests/support/bytes.h"
#include "tests/support/consume_codec.h"
#include "tests/support/expect_error.h"
#include "tests/support/plain_layout.h"

namespace tern::weights {
namespace {

using test::expect_error;
using test::kPlainLayout;

constexpr std::size_t kBlock = 256;    // elements
constexpr std::size_t kTq2Bytes = 66;  // of a block

/// A TQ2_0 tensor in memory, with all codes and scales at hand.
struct Tq2Tensor {
  std::size_t rows;
  std::size_t cols;
  std::vector<std::uint8_t> codes;  // (rows, cols)
  std::vector<float> scales;        // (rows, cols / kBlock)
  std::vector<std::byte> bytes;

  Tq2Tensor(std::size_t n_rows, std::size_t n_cols, std::vector<float> with_scales)
      : rows(n_rows), cols(n_cols), codes(n_rows * n_cols), scales(std::move(with_scales)) {
    test::Random random(rows + cols);
    for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random.below(3));
  }

  void clear_block(std::size_t index) {
    std::fill_n(codes.begin() + static_cast<std::ptrdiff_t>(index * kBlock), kBlock, std::uint8_t{1});
  }

  /// What the file says; valid until the next call.
  format::TensorInfo info() {
    bytes.assign(scales.size() * kTq2Bytes, std::byte{0});
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const std::size_t e = i % kBlock;
      std::byte& byte = bytes[i / kBlock * kTq2Bytes + e / 128 * 32 + e % 32];
      byte |= static_cast<std::byte>(codes[i] << (e / 32 % 4 * 2));
    }
    for (std::size_t b = 0; b < scales.size(); ++b) {
      const std::uint16_t half = f32_to_f16(scales[b]);
      std::memcpy(bytes.data() + b * kTq2Bytes + 64, &half, sizeof half);
    }
    format::TensorInfo tensor;
    tensor.name = "blk.0.ffn_up.weight";
    tensor.type = 35;
    tensor.dims = {cols, rows, 1, 1};
    tensor.n_dims = 2;
    tensor.n_elements = rows * cols;
    tensor.data = bytes;
    return tensor;
  }
};

const TensorCodec& tq2() { return *find_codec(35); }

ScalePlan plan(Tq2Tensor& tensor) { return plan_scales("m.gguf", tensor.info(), tq2()); }

// --- plan_scales ---------------------------------------------------------------------------------------------------

TEST(ScalePlan, EqualScalesBecomeOne) {
  Tq2Tensor tensor(2, 512, {0.5f, 0.5f, 0.5f, 0.5f});
  const ScalePlan p = plan(tensor);
  EXPECT_EQ(p.kind, ScaleKind::kTensor);
  EXPECT_EQ(p.block_cols, 512u);
  EXPECT_EQ(p.n_col_blocks, 1u);
  EXPECT_EQ(p.scales, std::vector<float>{0.5f});
}

TEST(ScalePlan, ScalesThatDifferByRowBecomeOnePerRow) {
  Tq2Tensor tensor(3, 512, {0.5f, 0.5f, 0.25f, 0.25f, 2.0f, 2.0f});
  const ScalePlan p = plan(tensor);
  EXPECT_EQ(p.kind, ScaleKind::kRow);
  EXPECT_EQ(p.block_cols, 512u);
  EXPECT_EQ(p.n_col_blocks, 1u);
  EXPECT_EQ(p.scales, (std::vector<float>{0.5f, 0.25f, 2.0f}));
}

TEST(ScalePlan, OtherScalesStayPerBlock) {
  Tq2Tensor tensor(3, 512, {0.5f, 0.5f, 0.25f, 0.125f, 2.0f, 2.0f});
  const ScalePlan p = plan(tensor);
  EXPECT_EQ(p.kind, ScaleKind::kBlock);
  EXPECT_EQ(p.block_cols, kBlock);
  EXPECT_EQ(p.n_col_blocks, 2u);
  EXPECT_EQ(p.scales, (std::vector<float>{0.5f, 0.25f, 2.0f, 0.5f, 0.125f, 2.0f}));  // (n_col_blocks, rows)
}

TEST(ScalePlan, AZeroScaleOverZerosDoesNotCount) {
  Tq2Tensor same(2, 512, {0.5f, 0.0f, 0.5f, 0.5f});
  same.clear_block(1);
  EXPECT_EQ(plan(same).kind, ScaleKind::kTensor);
  EXPECT_EQ(plan(same).scales, std::vector<float>{0.5f});

  Tq2Tensor by_row(2, 512, {0.5f, 0.0f, 0.0f, 0.25f});
  by_row.clear_block(1);
  by_row.clear_block(2);
  EXPECT_EQ(plan(by_row).kind, ScaleKind::kRow);
  EXPECT_EQ(plan(by_row).scales, (std::vector<float>{0.5f, 0.25f}));

  Tq2Tensor nothing(1, 256, {0.0f});
  nothing.clear_block(0);
  EXPECT_EQ(plan(nothing).kind, ScaleKind::kTensor);
  EXPECT_EQ(plan(nothing).scales, std::vector<float>{0.0f});
}

TEST(ScalePlan, RefusesScalesThatAreNotPositiveNumbers) {
  const float broken[] = {-0.5f, std::numeric_limits<float>::infinity(), std::nanf(""), 0.0f};
  for (const float scale : broken) {
    Tq2Tensor tensor(2, 512, {0.5f, 0.5f, 0.5f, scale});
    expect_error(ErrorKind::kBadFile,
                 "m.gguf: tensor 'blk.0.ffn_up.weight': row 1, block 1: expected a finite scale above 0",
                 [&] { std::ignore = plan(tensor); });
  }
}

TEST(ScalePlan, AZeroScaleOverOneLostWeightIsRefused) {
  Tq2Tensor tensor(2, 512, {0.5f, 0.5f, 0.0f, 0.5f});
  tensor.clear_block(2);
  EXPECT_EQ(plan(tensor).kind, ScaleKind::kTensor);
  tensor.codes[512 + 255] = 2;
  expect_error(ErrorKind::kBadFile, "row 1, block 0", [&] { std::ignore = plan(tensor); });
}

TEST(ScalePlan, RefusesMoreColumnsThanAKernelCanAddUp) {
  Tq2Tensor small(1, 256, {1.0f});
  format::TensorInfo tensor = small.info();
  tensor.dims[0] = kernels::kMaxCols + 256;  // checked before any byte is read
  tensor.n_elements = tensor.dims[0];
  expect_error(ErrorKind::kUnsupported, "expected at most 4194304 columns, found 4194560",
               [&] { std::ignore = plan_scales("m.gguf", tensor, tq2()); });
}

/// An I2_S tensor of 2 rows of 128 zeros, or of one code everywhere.
std::vector<std::byte> i2s_bytes(std::uint8_t byte, float scale) {
  std::vector<std::byte> bytes(64 + 32, std::byte{0});
  std::fill_n(bytes.begin(), 64, static_cast<std::byte>(byte));
  std::memcpy(bytes.data() + 64, &scale, sizeof scale);
  return bytes;
}

ScalePlan plan_i2s(const std::vector<std::byte>& bytes) {
  format::TensorInfo tensor;
  tensor.name = "t";
  tensor.type = 36;
  tensor.dims = {128, 2, 1, 1};
  tensor.n_dims = 2;
  tensor.n_elements = 256;
  tensor.data = bytes;
  return plan_scales("m.gguf", tensor, *find_codec(36));
}

TEST(ScalePlan, ReadsTheScaleOfAWholeTensor) {
  const ScalePlan p = plan_i2s(i2s_bytes(0xaa, 0.75f));
  EXPECT_EQ(p.kind, ScaleKind::kTensor);
  EXPECT_EQ(p.block_cols, 128u);
  EXPECT_EQ(p.scales, std::vector<float>{0.75f});
  EXPECT_EQ(plan_i2s(i2s_bytes(0x55, 0.0f)).scales, std::vector<float>{0.0f});
  expect_error(ErrorKind::kBadFile, "found 0", [] { std::ignore = plan_i2s(i2s_bytes(0x56, 0.0f)); });
  expect_error(ErrorKind::kBadFile, "found nan", [] { std::ignore = plan_i2s(i2s_bytes(0x55, std::nanf(""))); });
}

// --- pack_rows -----------------------------------------------------------------------------------------------------

/// The whole tensor repacked by several threads. Codes of the result are read back through the plain layout.
struct Packed {
  std::vector<std::uint8_t> memory;
  TernaryMatrix matrix;
  std::optional<std::size_t> bad_row;

  explicit Packed(Tq2Tensor& tensor, unsigned n_threads = 2) {
    ScalePlan p = plan(tensor);
    memory.assign(packed_bytes(kPlainLayout, tensor.rows, tensor.cols, p), 0xee);
    matrix = make_ternary_matrix(kPlainLayout, tensor.rows, tensor.cols, std::move(p), memory);
    const format::TensorInfo info = tensor.info();
    std::vector<std::optional<std::size_t>> bad(n_threads);
    ThreadPool pool(n_threads);
    pool.parallel_for(tensor.rows, test::kPlainRowBlock, [&](std::size_t begin, std::size_t end, unsigned thread) {
      std::vector<std::uint8_t> scratch(pack_scratch_bytes(matrix));
      if (const auto row = pack_rows(info, tq2(), begin, end, matrix, scratch)) bad[thread] = row;
    });
    for (const auto& row : bad) {
      if (row) bad_row = row;
    }
  }

  [[nodiscard]] std::uint8_t code(std::size_t row, std::size_t col) const {
    const std::uint8_t* block = matrix.block(row / test::kPlainRowBlock, col / matrix.block_cols);
    return block[row % test::kPlainRowBlock * test::plain_stride(matrix.block_cols) + col % matrix.block_cols];
  }
  [[nodiscard]] float scale(std::size_t row, std::size_t col) const {
    switch (matrix.kind) {
      case ScaleKind::kTensor:
        return matrix.scales[0];
      case ScaleKind::kRow:
        return matrix.scales[row];
      case ScaleKind::kBlock:
        break;
    }
    return f16_to_f32(matrix.block_scales[col / matrix.block_cols * matrix.rows + row]);
  }
};

void expect_same_weights(const Tq2Tensor& tensor, const Packed& packed) {
  ASSERT_EQ(packed.bad_row, std::nullopt);
  for (std::size_t r = 0; r < tensor.rows; ++r) {
    for (std::size_t c = 0; c < tensor.cols; ++c) {
      const float expected =
          static_cast<float>(tensor.codes[r * tensor.cols + c] - 1) * tensor.scales[(r * tensor.cols + c) / kBlock];
      ASSERT_EQ(packed.code(r, c), tensor.codes[r * tensor.cols + c]) << r << ", " << c;
      ASSERT_EQ(static_cast<float>(packed.code(r, c) - 1) * packed.scale(r, c), expected) << r << ", " << c;
    }
  }
}

TEST(PackRows, KeepsEveryWeightOfEachKind) {
  const std::vector<float> by_tensor(5 * 3, 0.5f);
  const std::vector<float> by_row = {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5};
  std::vector<float> by_block(5 * 3);
  for (std::size_t i = 0; i < by_block.size(); ++i) by_block[i] = static_cast<float>(i + 1);
  const ScaleKind kinds[] = {ScaleKind::kTensor, ScaleKind::kRow, ScaleKind::kBlock};
  const std::vector<float>* scales[] = {&by_tensor, &by_row, &by_block};
  for (std::size_t i = 0; i < 3; ++i) {
    Tq2Tensor tensor(5, 768, *scales[i]);
    const Packed packed(tensor);
    EXPECT_EQ(packed.matrix.kind, kinds[i]);
    expect_same_weights(tensor, packed);
    const std::size_t scale_bytes[] = {4, 5 * 4, 5 * 3 * 2};
    EXPECT_EQ(packed.matrix.bytes(), packed.memory.size() + scale_bytes[i]);
  }
}

TEST(PackRows, FillsTheLastBlockWithZeros) {
  Tq2Tensor tensor(4, 256, std::vector<float>(4, 1.0f));
  const Packed packed(tensor);
  ASSERT_EQ(packed.memory.size(), 6 * 256u);
  for (std::size_t i = 4 * 256; i < packed.memory.size(); ++i) ASSERT_EQ(packed.memory[i], 1);
}

TEST(PackRows, TheNumberOfThreadsChangesNothing) {
  Tq2Tensor tensor(17, 256, std::vector<float>(17, 1.0f));
  const Packed alone(tensor, 1);
  for (unsigned n_threads = 2; n_threads <= 5; ++n_threads) EXPECT_EQ(Packed(tensor, n_threads).memory, alone.memory);
}

TEST(PackRows, NamesTheRowOfACodeThatIsNotTernary) {
  for (std::size_t row = 0; row < 7; ++row) {
    Tq2Tensor tensor(7, 512, std::vector<float>(14, 1.0f));
    tensor.codes[row * 512 + 300] = 3;
    EXPECT_EQ(Packed(tensor).bad_row, row);
  }
}

TEST(PackedBytes, CountsBlocksOfRowsAndOfColumns) {
  EXPECT_EQ(packed_bytes(kPlainLayout, 4, 100), 2 * 3 * 128u);
  ScalePlan by_block;
  by_block.kind = ScaleKind::kBlock;
  by_block.block_cols = 32;
  by_block.n_col_blocks = 4;
  EXPECT_EQ(packed_bytes(kPlainLayout, 4, 128, by_block), 4 * 2 * 3 * 64u);
}

// --- hostile bytes -------------------------------------------------------------------------------------------------

TEST(CodecMutations, RandomBytesAreReadOrRefused) {
  test::Random random(3);
  std::size_t n_read = 0;
  constexpr std::size_t kRounds = 5000;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::vector<std::byte> input(3 + random.below(200));
    const std::uint64_t mask = random.below(2) == 0 ? 0xff : 0x55;
    for (std::byte& byte : input) byte = static_cast<std::byte>(random.next() & mask);
    input[0] = static_cast<std::byte>(random.below(256));
    try {
      n_read += test::consume_codec(input).n_rows > 0 ? 1 : 0;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadFile) << error.what();
    }
  }
  EXPECT_GT(n_read, kRounds / 2);  // float types read anything
  EXPECT_LT(n_read, kRounds);
}

}  // namespace
}  // namespace tern::weights
