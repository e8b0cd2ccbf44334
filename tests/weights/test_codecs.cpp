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

/// A row of a type in the pattern above.
struct KnownRow {
  std::uint32_t type;
  std::size_t cols;
  const char* hex;
};

std::uint32_t crc_of_pattern(std::size_t cols) {
  return cols == 256 ? kCrcOf256 : cols == 128 ? 0xfddadc4e : 0x83ec39b7;
}

class KnownRows : public testing::TestWithParam<KnownRow> {};

TEST_P(KnownRows, DecodeToTheKnownValues) {
  const auto& [type, cols, hex] = GetParam();
  const TensorCodec& codec = *find_codec(type);
  ASSERT_EQ(codec.row_bytes(cols), from_hex(hex).size());
  EXPECT_EQ(crc32_of_values(ternary_values(codec, from_hex(hex), cols)), crc_of_pattern(cols));
}

INSTANTIATE_TEST_SUITE_P(
    TernaryTypes, KnownRows,
    testing::Values(KnownRow{42, 64, "0038 24914412492491441249 2491441249 24"},
                    KnownRow{142, 128, "0038 24914412492491441249 24914412492491441249 24914412492491441249 2491"},
                    KnownRow{143, 128, "3192b622663192b622663192b62266310f85af2d900f85af465c0038"},
                    KnownRow{135, 128, "0000003f2449124491244912449124491244912491244912449124491244912449124491"},
                    KnownRow{134, 128, "00386c6c6c242424616161cbcbcb174444446c6c6c24242461616144"}),
    [](const auto& test) { return std::string(find_codec(test.param.type)->name); });

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

TEST(Q1_0, DecodesTheKnownBlock) {
  const TensorCodec& codec = *find_codec(41);
  const std::vector<std::byte> block = pattern_block(18, 0);
  std::vector<std::uint8_t> codes(128);
  ASSERT_TRUE(codec.unpack_row(block.data(), 0, codes.size(), codes.data()));
  float scale = 0;
  codec.read_scales(block.data(), codes.size(), 0, codes.size(), &scale);
  std::vector<float> values;
  for (const std::uint8_t code : codes) values.push_back((static_cast<float>(code) - 1) * scale);
  EXPECT_EQ(std::vector<float>(values.begin(), values.begin() + 3), (std::vector<float>{0.5f, -0.5f, 0.5f}));
  EXPECT_EQ(crc32_of_values(values), 0xf96d9f94);
}

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

TEST(TwoBitTypes, TheThirdCodeIsRefusedWhereverItIs) {
  struct Codes {
    std::uint32_t type;
    std::size_t first, n;  // bytes
  };
  for (const auto& [type, first, n] : {Codes{35, 0, 64}, {42, 2, 16}, {142, 2, 32}, {135, 4, 64}}) {
    constexpr std::size_t kCols = 256;
    const TensorCodec& codec = *find_codec(type);
    const std::vector<std::byte> row(codec.row_bytes(kCols));
    std::vector<std::uint8_t> codes(kCols);
    ASSERT_TRUE(codec.unpack_row(row.data(), 0, kCols, codes.data()));
    for (std::size_t byte = first; byte < first + n; ++byte) {
      for (int shift = 0; shift < 8; shift += 2) {
        std::vector<std::byte> broken = row;
        broken[byte] |= static_cast<std::byte>(3 << shift);
        ASSERT_FALSE(codec.unpack_row(broken.data(), 0, kCols, codes.data())) << codec.name << " " << byte;
      }
    }
  }
}

/// Writes IQ2_BN_R4 by its definition, one code after the other.  codes: (rows, cols)
std::vector<std::byte> encode_interleaved(const std::vector<std::uint8_t>& codes, std::size_t cols,
                                          const std::vector<float>& scales) {
  const std::size_t four_bytes = 4 * (4 + cols / 4);
  std::vector<std::byte> tensor(scales.size() / 4 * four_bytes);
  for (std::size_t row = 0; row < scales.size(); ++row) {
    std::byte* four = tensor.data() + row / 4 * four_bytes;
    std::memcpy(four + row % 4 * 4, &scales[row], 4);
    for (std::size_t c = 0; c < cols; ++c) {
      const std::size_t at = 16 + c / 64 * 64 + c % 64 / 16 * 16 + row % 4 * 4 + c % 4;
      four[at] |= static_cast<std::byte>(codes[row * cols + c] << (c % 16 / 4 * 2));
    }
  }
  return tensor;
}

TEST(Iq2BnR4, FourRowsLieTogether) {
  constexpr std::size_t kCols = 192;
  const std::vector<float> scales = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f};
  std::vector<std::uint8_t> codes = random_codes(scales.size() * kCols, 9);
  const TensorCodec& codec = *find_codec(335);
  const std::vector<std::byte> tensor = encode_interleaved(codes, kCols, scales);
  ASSERT_EQ(tensor_size(335, kCols, codes.size()).bytes, tensor.size());
  EXPECT_FALSE(tensor_size(335, kCols, 6 * kCols).bytes);  // not whole groups of rows
  for (std::size_t row = 0; row < scales.size(); ++row) {
    std::vector<std::uint8_t> found(kCols);
    ASSERT_TRUE(codec.unpack_row(tensor.data(), row, kCols, found.data()));
    EXPECT_TRUE(std::equal(found.begin(), found.end(), codes.begin() + static_cast<std::ptrdiff_t>(row * kCols)));
    float scale = 0;
    codec.read_scales(tensor.data(), codes.size(), row, kCols, &scale);
    EXPECT_EQ(scale, scales[row]);
  }
  for (std::size_t at = 0; at < codes.size(); ++at) {
    std::vector<std::uint8_t> broken = codes;
    broken[at] = 3;
    std::vector<std::uint8_t> found(kCols);
    const std::vector<std::byte> bytes = encode_interleaved(broken, kCols, scales);
    ASSERT_FALSE(codec.unpack_row(bytes.data(), at / kCols, kCols, found.data())) << at;
    ASSERT_TRUE(codec.unpack_row(bytes.data(), (at / kCols + 1) % scales.size(), kCols, found.data())) << at;
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
    if (codec->rows_together > 1) continue;        // see FourRowsLieTogether
    const std::size_t row_bytes = codec->row_bytes(kCols);
    std::vector<std::byte> tensor(kRows * row_bytes);
    for (std::byte& byte : tensor) byte = static_cast<std::byte>(random.next() & 0x55);
    for (std::size_t r = 0; r < kRows && codec->is_ternary(); ++r) {
      const std::byte* alone = tensor.data() + r * row_bytes;
      std::vector<std::uint8_t> codes(kCols);
      std::vector<std::uint8_t> codes_alone(kCols);
      ASSERT_TRUE(codec->unpack_row(tensor.data(), r, kCols, codes.data()));
      ASSERT_TRUE(codec->unpack_row(alone, 0, kCols, codes_alone.data()));
      EXPECT_EQ(codes, codes_alone) << codec->name;
      const bool base3 = codec->name.find("1_0") != std::string_view::npos || codec->gguf_type == 134;
      EXPECT_EQ(std::set<std::uint8_t>(codes.begin(), codes.end()).size(), base3 && codec->has_zero ? 3u : 2u);
      std::vector<float> scales(kCols / codec->scale_cols(kCols));
      std::vector<float> scales_alone(scales.size());
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
  const std::set<std::string_view> expected = {"F32",  "F16",   "BF16",   "Q4_0",   "Q8_0",   "Q4_K",
                                               "Q5_K", "Q6_K",  "TQ1_0",  "TQ2_0",  "I2_S",   "Q1_0",
                                               "Q2_0", "PQ2_0", "PTQ1_0", "IQ1_BN", "IQ2_BN", "IQ2_BN_R4"};
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
  EXPECT_EQ(tensor_size(41, 128, 256).bytes, 36u);
  EXPECT_EQ(tensor_size(42, 192, 384).bytes, 108u);
  EXPECT_FALSE(tensor_size(42, 192, 384).other);  // not whole blocks of 128
  EXPECT_EQ(tensor_size(42, 256, 512).other->bytes, 136u);
  EXPECT_EQ(tensor_size(42, 256, 512).other->type, 142u);
  EXPECT_EQ(tensor_size(134, 128, 256).bytes, 2 * 28u);
  EXPECT_EQ(tensor_size(135, 128, 256).bytes, 2 * 36u);
  EXPECT_FALSE(tensor_size(14, 128, 512).bytes);
  EXPECT_EQ(tensor_size(14, 128, 512).kind, ErrorKind::kBadFile);
  EXPECT_FALSE(tensor_size(0, 1, ~std::uint64_t{0}).bytes);
  EXPECT_EQ(tensor_size(39, 256, 256).kind, ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace tern::weights
