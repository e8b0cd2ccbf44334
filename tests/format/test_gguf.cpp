#include "src/format/gguf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "src/weights/codec.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/gguf_builder.h"

namespace tern::format {
namespace {

using test::expect_error;
using test::from_hex;
using test::GgufBuilder;

Gguf parse(const std::vector<std::byte>& file) { return parse_gguf(file, "test.gguf", weights::tensor_size); }

float float_at(std::span<const std::byte> bytes, std::size_t i) {
  float value = 0;
  std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
  return value;
}

const std::string kSmallFile =
    "47475546 03000000 0100000000000000 0100000000000000 1400000000000000"
    "67656e6572616c2e617263686974656374757265 08000000 0500000000000000 6c6c616d61"
    "0100000000000000 74 01000000 0200000000000000 00000000 0000000000000000" +
    std::string(52, '0') + "0000803f 00000040";

TEST(Gguf, ReadsAFileWrittenByHand) {
  const std::vector<std::byte> file = from_hex(kSmallFile);
  ASSERT_EQ(file.size(), 136u);
  const Gguf gguf = parse(file);
  EXPECT_EQ(gguf.version, 3u);
  EXPECT_EQ(gguf.alignment, 32u);
  EXPECT_EQ(gguf.metadata.string("general.architecture"), "llama");
  ASSERT_EQ(gguf.tensors.size(), 1u);
  const TensorInfo& tensor = *gguf.find("t");
  EXPECT_EQ(tensor.n_dims, 1u);
  EXPECT_EQ(tensor.cols(), 2u);
  EXPECT_EQ(tensor.rows(), 1u);
  EXPECT_EQ(tensor.data.data(), file.data() + 128);
  ASSERT_EQ(tensor.data.size(), 8u);
  EXPECT_EQ(float_at(tensor.data, 0), 1.0f);
  EXPECT_EQ(float_at(tensor.data, 1), 2.0f);
  EXPECT_EQ(gguf.find("u"), nullptr);
}

TEST(Gguf, TheBuilderWritesTheSameFile) {
  GgufBuilder builder;
  builder.add("general.architecture", "llama").add_tensor("t", 0, {2}, std::vector<float>{1.0f, 2.0f});
  EXPECT_EQ(builder.build(), from_hex(kSmallFile));
}

TEST(Gguf, ReadsVersion2) {
  GgufBuilder builder;
  builder.version = 2;
  const std::vector<std::byte> file = builder.build();
  EXPECT_EQ(parse(file).version, 2u);
}

TEST(Gguf, PlacesTensorsAtTheAlignmentOfTheFile) {
  GgufBuilder builder;
  builder.alignment = 128;
  builder.add("general.alignment", 128u);
  builder.add_tensor("a", 0, {3, 2}, std::vector<float>(6, 1.0f));
  builder.add_tensor("b", 0, {1, 2, 3}, std::vector<float>(6, 2.0f));
  const std::vector<std::byte> file = builder.build();
  const Gguf gguf = parse(file);
  EXPECT_EQ(gguf.alignment, 128u);
  EXPECT_EQ(gguf.find("b")->data.data() - gguf.find("a")->data.data(), 128);
  EXPECT_EQ((gguf.find("a")->data.data() - file.data()) % 128, 0);
  EXPECT_EQ(gguf.find("b")->n_elements, 6u);
  EXPECT_EQ(gguf.find("b")->n_dims, 3u);
  EXPECT_EQ(float_at(gguf.find("b")->data, 5), 2.0f);
}

TEST(Gguf, AllowsGapsAndAnyOrderOfTensors) {
  GgufBuilder builder;
  builder.add_tensor("a", 0, {2}, std::vector<float>{1, 2}).add_tensor("b", 0, {2}, std::vector<float>{3, 4});
  builder.tensors[0].offset = 96;
  builder.tensors[1].offset = 32;
  const std::vector<std::byte> file = builder.build();
  const Gguf gguf = parse(file);
  EXPECT_EQ(float_at(gguf.find("a")->data, 0), 1.0f);
  EXPECT_EQ(float_at(gguf.find("b")->data, 0), 3.0f);
}

TEST(Gguf, KeepsTheOrderOfKeys) {
  GgufBuilder builder;
  builder.add("z", 1u).add("a", 2u);
  const std::vector<std::byte> file = builder.build();
  const Gguf gguf = parse(file);
  ASSERT_EQ(gguf.metadata.entries().size(), 2u);
  EXPECT_EQ(gguf.metadata.entries()[0].first, "z");
  EXPECT_EQ(gguf.metadata.entries()[1].first, "a");
}

// --- metadata ----------------------------------------------------------------------------------------------------

class MetadataTest : public testing::Test {
 protected:
  MetadataTest() {
    builder_.add("u8", std::uint8_t{200}).add("i8", std::int8_t{-3}).add("u16", std::uint16_t{60000});
    builder_.add("i16", std::int16_t{-300}).add("u32", 4000000000u).add("i32", -70000);
    builder_.add("u64", std::numeric_limits<std::uint64_t>::max()).add("i64", std::numeric_limits<std::int64_t>::min());
    builder_.add("f32", 1.5f).add("f64", 0.1).add("yes", true).add("no", false).add("text", "hello");
    builder_.add("nan", std::nanf("")).add("i32 positive", 5);
    builder_.add("strings", {"", "b c"}).add("floats", std::vector<float>{0.5f, -2.0f});
    builder_.add("ints", std::vector<std::int32_t>{-1, 7}).add("flags", std::vector<bool>{true, false});
    builder_.add("bytes", std::vector<std::uint8_t>{1, 255}).add("shorts", std::vector<std::int16_t>{-2, 300});
    builder_.add("empty", std::vector<std::uint64_t>{}).add("doubles", std::vector<double>{0.25, 1e300});
    file_ = builder_.build();
    gguf_.emplace(parse(file_));
  }
  const Metadata& metadata() const { return gguf_->metadata; }

  GgufBuilder builder_;
  std::vector<std::byte> file_;
  std::optional<Gguf> gguf_;
};

TEST_F(MetadataTest, ConvertsBetweenIntegerTypes) {
  constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(metadata().integer("u8", kAny), 200u);
  EXPECT_EQ(metadata().integer("u16", kAny), 60000u);
  EXPECT_EQ(metadata().integer("u32", kAny), 4000000000u);
  EXPECT_EQ(metadata().integer("u64", kAny), kAny);
  EXPECT_EQ(metadata().integer("i32 positive", 5), 5u);
  EXPECT_EQ(metadata().integer("absent", 5), std::nullopt);
}

TEST_F(MetadataTest, KeepsSignedValues) {
  const auto value = [&](std::string_view key) {
    for (const auto& [name, entry] : metadata().entries()) {
      if (name == key) return std::get<std::int64_t>(entry);
    }
    return std::int64_t{0};
  };
  EXPECT_EQ(value("i8"), -3);
  EXPECT_EQ(value("i16"), -300);
  EXPECT_EQ(value("i32"), -70000);
  EXPECT_EQ(value("i64"), std::numeric_limits<std::int64_t>::min());
}

TEST_F(MetadataTest, RefusesIntegersOutOfRange) {
  expect_error(ErrorKind::kBadFile, "test.gguf: key 'u8': expected an integer from 0 to 199, found the integer 200",
               [&] { std::ignore = metadata().integer("u8", 199); });
  expect_error(ErrorKind::kBadFile, "found the integer -70000",
               [&] { std::ignore = metadata().integer("i32", 1u << 31); });
  expect_error(ErrorKind::kBadFile, "from 0 to 4, found the integer 5",
               [&] { std::ignore = metadata().integer("i32 positive", 4); });
}

TEST_F(MetadataTest, ReadsNumbersBoolsAndStrings) {
  EXPECT_EQ(metadata().number("f32"), 1.5);
  EXPECT_EQ(metadata().number("f64"), 0.1);
  EXPECT_EQ(metadata().boolean("yes"), true);
  EXPECT_EQ(metadata().boolean("no"), false);
  EXPECT_EQ(metadata().string("text"), "hello");
  EXPECT_EQ(metadata().number("absent"), std::nullopt);
  EXPECT_EQ(metadata().boolean("absent"), std::nullopt);
  EXPECT_EQ(metadata().string("absent"), std::nullopt);
  EXPECT_TRUE(metadata().contains("text"));
  EXPECT_FALSE(metadata().contains("absent"));
}

TEST_F(MetadataTest, ReadsArrays) {
  EXPECT_EQ(*metadata().strings("strings"), (StringArray{"", "b c"}));
  EXPECT_EQ(metadata().strings("absent"), nullptr);
  EXPECT_EQ(metadata().numbers("absent"), nullptr);
  EXPECT_EQ(metadata().numbers("empty")->count, 0u);
  EXPECT_EQ(metadata().numbers("floats")->number(1), -2.0);
  EXPECT_EQ(metadata().numbers("doubles")->number(1), 1e300);
  EXPECT_EQ(metadata().numbers("ints")->integer(0), -1);
  EXPECT_EQ(metadata().numbers("ints")->number(1), 7.0);
  EXPECT_EQ(metadata().numbers("flags")->integer(0), 1);
  EXPECT_EQ(metadata().numbers("flags")->integer(1), 0);
  EXPECT_EQ(metadata().numbers("bytes")->integer(1), 255);
  EXPECT_EQ(metadata().numbers("shorts")->integer(1), 300);
}

TEST_F(MetadataTest, RefusesOtherTypes) {
  const auto refused = [](std::string_view part, const auto& read) { expect_error(ErrorKind::kBadFile, part, read); };
  refused("key 'text': expected an integer from 0 to 9, found the string 'hello'",
          [&] { std::ignore = metadata().integer("text", 9); });
  refused("found the number 1.5", [&] { std::ignore = metadata().integer("f32", 9); });
  refused("found true", [&] { std::ignore = metadata().integer("yes", 9); });
  refused("expected a finite number in f32 or f64, found the integer 200",
          [&] { std::ignore = metadata().number("u8"); });
  refused("found the number nan", [&] { std::ignore = metadata().number("nan"); });
  refused("expected a bool, found the integer 200", [&] { std::ignore = metadata().boolean("u8"); });
  refused("expected a string, found an array of 2 strings", [&] { std::ignore = metadata().string("strings"); });
  refused("expected an array of strings, found an array of 2 f32", [&] { std::ignore = metadata().strings("floats"); });
  refused("expected an array of numbers, found an array of 2 strings",
          [&] { std::ignore = metadata().numbers("strings"); });
  refused("expected an array of numbers, found false", [&] { std::ignore = metadata().numbers("no"); });
}

}  // namespace
}  // namespace tern::format
