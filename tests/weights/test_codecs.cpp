#include "src/weights/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
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
    [](const auto& test) { return std::string(find_codec(test.param.type)->name); });

// --- ternary types, beyond the vectors ----------------------------------------------------------------------------

/// Writes I2_S by its definition, one code after the other.
std::vector<std::byte> encode_i2s(const std::vector<std::uint8_t>& codes, std::size_t lanes, float scale) {
  std::vector<std::byte> tensor(codes.size() / 4 + 32);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::size_t in_block = i % (4 * lanes);
    const std::size_t at = i / (4 * lanes) * lanes + in_block % lanes;
    tensor[at] |= static_cast<std::byte>(codes[i] << (6 - 2 * (in_block / lanes)));
  }
  std::memcpy(tensor.data() + codes.size() / 4, &scale, sizeof scale);
  return tensor;
}

std::vector<std::uint8_t> random_codes(std::size_t n, std::uint64_t seed) {
  test::Random random(seed);
  std::vector<std::uint8_t> codes(n);
  for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random.below(3));
  return codes;
}

class I2sShapes : public testing::TestWithParam<std::size_t> {};  // columns

TEST_P(I2sShapes, RowsMayBeginInsideABlock) {
  const std::size_t cols = GetParam();
  const std::size_t rows = 128;  // so that rows * cols is a multiple of 128
  const std::vector<std::uint8_t> codes = random_codes(rows * cols, cols);
  for (const std::size_t lanes : {std::size_t{32}, std::size_t{16}}) {
    const TensorCodec& codec = lanes == 32 ? *find_codec(36) : i2s_64_codec();
    const std::vector<std::byte> tensor = encode_i2s(codes, lanes, 0.25f);
    std::vector<std::uint8_t> row(cols);
    for (std::size_t r = 0; r < rows; ++r) {
      ASSERT_TRUE(codec.unpack_row(tensor.data(), r, cols, row.data()));
      const auto begin = codes.begin() + static_cast<std::ptrdiff_t>(r * cols);
      ASSERT_TRUE(std::equal(row.begin(), row.end(), begin)) << "row " << r << ", lanes " << lanes;
    }
    float scale = 0;
    codec.read_scales(tensor.data(), codes.size(), 0, cols, &scale);
    EXPECT_EQ(scale, 0.25f);
  }
}

INSTANTIATE_TEST_SUITE_P(Columns, I2sShapes, testing::Values(1, 3, 31, 32, 33, 64, 96, 128, 160, 200, 384, 1000));

TEST(I2s, TheThirdCodeIsRefusedWhereverItIs) {
  constexpr std::size_t kRows = 2;
  for (const std::size_t cols : {std::size_t{192}, std::size_t{256}}) {  // rows inside blocks, whole blocks
    for (std::size_t at = 0; at < kRows * cols; ++at) {
      std::vector<std::uint8_t> codes = random_codes(kRows * cols, at);
      codes[at] = 3;
      const std::vector<std::byte> tensor = encode_i2s(codes, 32, 1.0f);
      std::vector<std::uint8_t> row(cols);
      for (std::size_t r = 0; r < kRows; ++r) {
        ASSERT_EQ(find_codec(36)->unpack_row(tensor.data(), r, cols, row.data()), r != at / cols) << at;
      }
    }
  }
}

TEST(Tq2_0, TheThirdCodeIsRefusedWhereverItIs) {
  std::vector<std::byte> block = from_hex(kTq2Hex);
  std::vector<std::uint8_t> codes(256);
  for (std::size_t byte = 0; byte < 64; ++byte) {
    for (int shift = 0; shift < 8; shift += 2) {
      std::vector<std::byte> broken = block;
      broken[byte] |= static_cast<std::byte>(3 << shift);
      ASSERT_FALSE(find_codec(35)->unpack_row(broken.data(), 0, 256, codes.data())) << byte << " " << shift;
    }
  }
}

TEST(Tq1_0, EveryByteHoldsTheDigitsOfItsFraction) {
  for (unsigned value = 0; value < 256; ++value) {
    const std::vector<std::byte> block(54, static_cast<std::byte>(value));
    std::vector<std::uint8_t> codes(256);
    ASSERT_TRUE(find_codec(34)->unpack_row(block.data(), 0, 256, codes.data()));
    unsigned rest = value;
    for (std::size_t digit = 0; digit < 5; ++digit, rest = rest * 3 % 256) {
      ASSERT_EQ(codes[32 * digit], rest * 3 / 256) << value;        // bytes 0 to 31
      ASSERT_EQ(codes[160 + 16 * digit], rest * 3 / 256) << value;  // bytes 32 to 47
      if (digit == 4) continue;                                     // the last bytes hold four digits
      ASSERT_EQ(codes[240 + 4 * digit], rest * 3 / 256) << value;
    }
  }
}

/// Every row must decode as if it stood alone, or a stride is wrong.
TEST(Codecs, RowsAreIndependent) {
  constexpr std::size_t kRows = 3;
  constexpr std::size_t kCols = 512;
  test::Random random(7);
  for (const TensorCodec* codec : all_codecs()) {
    if (codec->tensor_bytes != nullptr) continue;  // I2_S: see RowsMayBeginInsideABlock
    const std::size_t row_bytes = kCols / codec->block_elements * codec->block_bytes;
    std::vector<std::byte> tensor(kRows * row_bytes);
    for (std::byte& byte : tensor) byte = static_cast<std::byte>(random.next() & 0x55);
    for (std::size_t r = 0; r < kRows && codec->is_ternary(); ++r) {
      const std::byte* alone = tensor.data() + r * row_bytes;
      std::vector<std::uint8_t> codes(kCols);
      std::vector<std::uint8_t> codes_alone(kCols);
      ASSERT_TRUE(codec->unpack_row(tensor.data(), r, kCols, codes.data()));
      ASSERT_TRUE(codec->unpack_row(alone, 0, kCols, codes_alone.data()));
      EXPECT_EQ(codes, codes_alone) << codec->name;
      EXPECT_EQ(std::set<std::uint8_t>(codes.begin(), codes.end()).size(), codec->gguf_type == 35 ? 2u : 3u);
      std::vector<float> scales(2);
      std::vector<float> scales_alone(2);
      codec->read_scales(tensor.data(), kRows * kCols, r, kCols, scales.data());
      codec->read_scales(alone, kCols, 0, kCols, scales_alone.data());
      EXPECT_EQ(scales, scales_alone) << codec->name;
    }
    if (codec->is_ternary()) continue;
    std::vector<float> values(kCols);
    std::vector<float> second(codec->block_elements);
    codec->decode_row(tensor.data(), kCols, values.data());
    codec->decode_row(tensor.data() + codec->block_bytes, second.size(), second.data());
    EXPECT_TRUE(std::equal(second.begin(), second.end(), values.begin() + codec->block_elements)) << codec->name;
  }
}

TEST(FloatTypes, DecodeKnownValues) {
  std::vector<float> values(3);
  find_codec(0)->decode_row(from_hex("0000803f 000000c0 0000a03e").data(), 3, values.data());
  EXPECT_EQ(values, (std::vector<float>{1.0f, -2.0f, 0.3125f}));
  find_codec(1)->decode_row(from_hex("003c 00c0 0100").data(), 3, values.data());
  EXPECT_EQ(values, (std::vector<float>{1.0f, -2.0f, 0x1p-24f}));
  find_codec(30)->decode_row(from_hex("803f 00c0 a03e").data(), 3, values.data());
  EXPECT_EQ(values, (std::vector<float>{1.0f, -2.0f, 0.3125f}));
}

TEST(CodecTable, IsSortedByIdAndComplete) {
  const std::set<std::string_view> expected = {"F32",  "F16",  "BF16",  "Q4_0",  "Q8_0", "Q4_K",
                                               "Q5_K", "Q6_K", "TQ1_0", "TQ2_0", "I2_S"};
  std::set<std::string_view> names;
  std::uint32_t previous = 0;
  for (const TensorCodec* codec : all_codecs()) {
    names.insert(codec->name);
    EXPECT_TRUE(names.size() == 1 || codec->gguf_type > previous) << codec->name;
    EXPECT_NE(codec->unpack_row != nullptr, codec->decode_row != nullptr) << codec->name;
    EXPECT_EQ(find_codec(codec->gguf_type), codec);
    previous = codec->gguf_type;
  }
  EXPECT_EQ(names, expected);
  EXPECT_EQ(find_codec(4), nullptr);
  EXPECT_EQ(i2s_64_codec().gguf_type, find_codec(36)->gguf_type);
}

TEST(CodecTable, SizesTensors) {
  EXPECT_EQ(tensor_size(0, 5, 15).bytes, 60u);
  EXPECT_EQ(tensor_size(34, 512, 1024).bytes, 216u);
  EXPECT_EQ(tensor_size(35, 512, 1024).bytes, 264u);
  EXPECT_EQ(tensor_size(36, 64, 128).bytes, 64u);  // rows may share a block
  EXPECT_EQ(tensor_size(14, 256, 512).bytes, 420u);
  EXPECT_FALSE(tensor_size(14, 128, 512).bytes);
  EXPECT_EQ(tensor_size(14, 128, 512).kind, ErrorKind::kBadFile);
  EXPECT_FALSE(tensor_size(0, 1, ~std::uint64_t{0}).bytes);
  EXPECT_EQ(tensor_size(39, 256, 256).kind, ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace tern::weights
