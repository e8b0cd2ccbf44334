#include "src/weights/codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "tests/support/bytes.h"

namespace tern::weights {
namespace {

using test::crc32_of_values;
using test::from_hex;

constexpr std::uint32_t kCrcOf256 = 0x60e79f4d;

/// The pattern that the ternary vectors below hold.
std::vector<std::uint8_t> expected_codes(std::size_t n) {
  std::vector<std::uint8_t> codes(n);
  for (std::size_t j = 0; j < n; ++j) codes[j] = static_cast<std::uint8_t>((7 * j + j / 5) % 3);
  return codes;
}

std::vector<float> ternary_values(const TensorCodec& codec, const std::vector<std::byte>& tensor, std::size_t cols) {
  std::vector<std::uint8_t> codes(cols);
  EXPECT_TRUE(codec.unpack_row(tensor.data(), 0, cols, codes.data()));
  EXPECT_EQ(codes, expected_codes(cols));
  float scale = 0;
  codec.read_scales(tensor.data(), cols, 0, cols, &scale);
  std::vector<float> values;
  for (const std::uint8_t code : codes) values.push_back(static_cast<float>(code - 1) * scale);
  return values;
}

const std::string kTq1Hex =
    "465dd11874465dd11874465dd11874465dd11874465dd11874465dd11874465d3192b622663192b622663192b6226631235fcb430038";
const std::string kTq2Hex =
    "588116600558811660055881166005588116600558811660055881166005588160055881166005588116600558811660055881166005"
    "588116600558811660050038";
const std::string kI2s128Hex =
    "254294095025429409502542940950254294095025429409502542940950254209502542940950254294095025429409502542940950"
    "254294095025429409500000003f" +
    std::string(56, '0');
const std::string kI2s64Hex =
    "186184114618618411461861841146184618618411461861841146186184114611461861841146186184114618618411841146186184"
    "114618618411461861840000003f" +
    std::string(56, '0');

TEST(Tq1_0, DecodesTheKnownBlock) {
  EXPECT_EQ(crc32_of_values(ternary_values(*find_codec(34), from_hex(kTq1Hex), 256)), kCrcOf256);
}

TEST(Tq2_0, DecodesTheKnownBlock) {
  EXPECT_EQ(crc32_of_values(ternary_values(*find_codec(35), from_hex(kTq2Hex), 256)), kCrcOf256);
}

TEST(I2s, DecodesTheKnownTensorInBlocksOf128) {
  EXPECT_EQ(crc32_of_values(ternary_values(*find_codec(36), from_hex(kI2s128Hex), 256)), kCrcOf256);
}

TEST(I2s, DecodesTheKnownTensorInBlocksOf64) {
  EXPECT_EQ(crc32_of_values(ternary_values(i2s_64_codec(), from_hex(kI2s64Hex), 256)), kCrcOf256);
}

/// Byte i is (37 i + 11) mod 256, with f16 0.5 (and 0.25 for a minimum) where the block keeps its scales.
std::vector<std::byte> pattern_block(std::size_t n_bytes, std::size_t d_at, std::size_t dmin_at = SIZE_MAX) {
  std::vector<std::byte> block(n_bytes);
  for (std::size_t i = 0; i < n_bytes; ++i) block[i] = static_cast<std::byte>(37 * i + 11);
  block[d_at] = std::byte{0x00};
  block[d_at + 1] = std::byte{0x38};
  if (dmin_at != SIZE_MAX) {
    block[dmin_at] = std::byte{0x00};
    block[dmin_at + 1] = std::byte{0x34};
  }
  return block;
}

struct PatternCase {
  std::uint32_t type;
  std::vector<std::byte> block;
  std::uint32_t crc;
  float first[3];
};

class PatternBlocks : public testing::TestWithParam<PatternCase> {};

TEST_P(PatternBlocks, DecodesToTheKnownValues) {
  const TensorCodec& codec = *find_codec(GetParam().type);
  ASSERT_EQ(codec.block_bytes, GetParam().block.size());
  std::vector<float> values(codec.block_elements);
  codec.decode_row(GetParam().block.data(), values.size(), values.data());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(values[i], GetParam().first[i]);
  EXPECT_EQ(crc32_of_values(values), GetParam().crc);
}

INSTANTIATE_TEST_SUITE_P(
    FloatTypes, PatternBlocks,
    testing::Values(PatternCase{2, pattern_block(18, 0), 0xfef3c770, {-1.5f, 1.0f, 3.5f}},
                    PatternCase{8, pattern_block(34, 0), 0xce689365, {42.5f, 61.0f, -48.5f}},
                    PatternCase{12, pattern_block(144, 0, 2), 0xbe455e17, {157.75f, -12.75f, 64.75f}},
                    PatternCase{13, pattern_block(176, 0, 2), 0xca21f113, {405.75f, -12.75f, 312.75f}},
                    PatternCase{14, pattern_block(210, 208), 0x7dd18393, {-715.5f, 848.0f, 291.5f}}),
    [](const auto& info) { return std::string(find_codec(info.param.type)->name); });

}  // namespace
}  // namespace tern::weights
