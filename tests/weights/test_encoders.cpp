// What types write, against packers that share no code with them, and float types against known bytes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "src/weights/codec.h"
#include "tests/support/bytes.h"
#include "tests/support/pack_ternary.h"

namespace tern::weights {
namespace {

using test::Random;

std::vector<const TensorCodec*> codecs_where(bool (*holds)(const TensorCodec&)) {
  std::vector<const TensorCodec*> found;
  for (const TensorCodec* codec : all_codecs()) {
    if (holds(*codec)) found.push_back(codec);
  }
  return found;
}

std::string name_of(const testing::TestParamInfo<const TensorCodec*>& info) { return std::string(info.param->name); }

// --- ternary types ------------------------------------------------------------------------------------------------

class PackedRows : public testing::TestWithParam<const TensorCodec*> {};

TEST_P(PackedRows, AreThoseOfAnIndependentPacker) {
  const TensorCodec& codec = *GetParam();
  constexpr std::size_t kRows = 3, kCols = 768;
  const std::size_t scale_cols = codec.scale_cols(kCols);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    test::TernaryWeights weights{kRows, kCols, scale_cols, std::vector<std::uint8_t>(kRows * kCols), {}};
    for (std::uint8_t& code : weights.codes) code = static_cast<std::uint8_t>(random.below(3));
    for (std::size_t i = 0; i < kRows * kCols / scale_cols; ++i) {
      weights.scales.push_back(static_cast<float>(1 + random.below(1000)) / 999.0f);  // most do not fit in 16 bits
    }
    std::vector<std::byte> packed(kRows * codec.row_bytes(kCols));
    for (std::size_t row = 0; row < kRows; ++row) {
      codec.pack_row(&weights.codes[row * kCols], &weights.scales[row * (kCols / scale_cols)], kCols,
                     packed.data() + row * codec.row_bytes(kCols));
    }
    if (codec.pack_tail != nullptr) {
      const std::vector<std::byte> tail = codec.pack_tail(weights.scales.front());
      packed.insert(packed.end(), tail.begin(), tail.end());
    }
    ASSERT_EQ(packed, test::find_packing(codec.name).pack(weights));
  }
}

INSTANTIATE_TEST_SUITE_P(Encoders, PackedRows,
                         testing::ValuesIn(codecs_where([](const TensorCodec& c) { return c.pack_row != nullptr; })),
                         name_of);

TEST(Encoders, I2sOfBlocksOf64ReadsWhatItPacks) {
  const TensorCodec& codec = i2s_64_codec();
  constexpr std::size_t kCols = 320;
  std::vector<std::uint8_t> codes(kCols), read(kCols);
  for (std::size_t i = 0; i < kCols; ++i) codes[i] = static_cast<std::uint8_t>(i * i % 7 % 3);
  std::vector<std::byte> row(codec.row_bytes(kCols));
  codec.pack_row(codes.data(), nullptr, kCols, row.data());
  EXPECT_TRUE(codec.unpack_row(row.data(), 0, kCols, read.data()));
  EXPECT_EQ(read, codes);
}

// --- float types --------------------------------------------------------------------------------------------------

/// Values of all signs, of sizes that differ between sub-blocks, with a sub-block and a block of zeros.
std::vector<float> some_values(std::size_t n) {
  std::vector<float> values(n);
  for (std::size_t j = 0; j < n; ++j) {
    const auto wave = static_cast<float>((37 * j * j + 11 * j + 5) % 251) - 125.0f;
    const bool zero = j / 16 % 16 == 5 || j / 256 == 2;
    values[j] = zero ? 0.0f : wave * (0.004f + 0.001f * static_cast<float>(j / 16 % 9));
  }
  return values;
}

/// The bytes that ggml's reference quantizers make of some_values(1024), as a CRC, and how far a value may be off, as a
/// share of the largest magnitude of its 32 neighbours or, with scales in a tree, 256.
struct FloatType {
  const char* name;
  std::uint32_t crc;
  std::size_t neighbours;
  double bound;
};

class EncodedFloats : public testing::TestWithParam<FloatType> {
 protected:
  static const TensorCodec& codec() {
    for (const TensorCodec* codec : all_codecs()) {
      if (codec->name == GetParam().name) return *codec;
    }
    throw std::runtime_error("no such type");
  }
  static std::vector<std::byte> encode(const std::vector<float>& values) {
    std::vector<std::byte> row(codec().row_bytes(values.size()));
    EXPECT_TRUE(codec().encode_row(values.data(), values.size(), row.data()));
    return row;
  }
  static std::vector<float> decode(const std::vector<std::byte>& row, std::size_t n) {
    std::vector<float> values(n);
    codec().decode_row(row.data(), n, values.data());
    return values;
  }
};

TEST_P(EncodedFloats, AreTheKnownBytes) { EXPECT_EQ(test::crc32(encode(some_values(1024))), GetParam().crc); }

TEST_P(EncodedFloats, AreNearTheValues) {
  for (const float size : {1.0f, 8.0f, 300.0f}) {
    std::vector<float> values = some_values(1024);
    for (float& value : values) value *= size;
    const std::vector<float> read = decode(encode(values), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t first = i / GetParam().neighbours * GetParam().neighbours;
      float largest = 0;
      for (std::size_t j = first; j < first + GetParam().neighbours; ++j)
        largest = std::max(largest, std::fabs(values[j]));
      ASSERT_LE(std::fabs(read[i] - values[i]), GetParam().bound * static_cast<double>(largest)) << i << " * " << size;
    }
  }
}

TEST_P(EncodedFloats, KeepZerosAndTinyValuesFinite) {
  EXPECT_EQ(decode(encode(std::vector<float>(256, 0.0f)), 256), std::vector<float>(256, 0.0f));
  for (const float value : decode(encode(std::vector<float>(256, 1e-42f)), 256)) EXPECT_LE(std::fabs(value), 1e-6f);
}

TEST_P(EncodedFloats, RefuseWhatIsBeyondTheirRange) {
  std::vector<float> values(512, 1.0f);
  values[300] = std::numeric_limits<float>::max();
  std::vector<std::byte> row(codec().row_bytes(values.size()));
  const bool has_range_of_f32 = std::string_view(GetParam().name) == "F32";
  EXPECT_EQ(codec().encode_row(values.data(), values.size(), row.data()), has_range_of_f32);
}

INSTANTIATE_TEST_SUITE_P(Encoders, EncodedFloats,
                         testing::Values(FloatType{"F32", 0xf4c636aa, 1, 0.0}, FloatType{"F16", 0xe59f1d1e, 1, 0x1p-11},
                                         FloatType{"BF16", 0xa13cfc5c, 1, 0x1p-8},
                                         FloatType{"Q8_0", 0xd25e5289, 32, 0.5 / 127 + 1e-3},
                                         FloatType{"Q4_0", 0x0a89367f, 32, 1.0 / 8 + 1e-3},
                                         FloatType{"Q6_K", 0xa3a71c41, 256, 1.0 / 32 + 1e-3}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Encoders, EveryFloatTypeThatIsWrittenIsTested) {
  EXPECT_EQ(codecs_where([](const TensorCodec& c) { return c.encode_row != nullptr; }).size(), 6u);
}

}  // namespace
}  // namespace tern::weights
