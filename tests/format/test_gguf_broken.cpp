// One broken file for every check of the parser.

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "src/format/gguf.h"
#include "src/weights/codec.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/gguf_builder.h"

namespace tern::format {
namespace {

using test::expect_error;
using test::from_hex;
using test::GgufBuilder;

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

struct BrokenFile {
  std::string name;
  ErrorKind kind;
  std::string message;  // a part of it
  std::vector<std::byte> bytes;
};

void PrintTo(const BrokenFile& broken, std::ostream* out) { *out << broken.name; }

/// A small valid file after `change`.
std::vector<std::byte> file_with(const std::function<void(GgufBuilder&)>& change) {
  GgufBuilder builder;
  builder.add("general.architecture", "llama");
  builder.add_tensor("a", 0, {4, 2}, std::vector<float>(8, 1.0f));
  builder.add_tensor("b", 0, {8}, std::vector<float>(8, 2.0f));
  change(builder);
  return builder.build();
}

std::vector<std::byte> file_with_value(ValueType type, std::string_view value_hex) {
  return file_with([&](GgufBuilder& b) { b.add_raw("k", type, from_hex(value_hex)); });
}

std::vector<std::byte> file_with_tensor(std::uint32_t type, std::vector<std::uint64_t> dims) {
  return file_with([&](GgufBuilder& b) { b.add_tensor("c", type, std::move(dims), std::vector<float>(2, 0.0f)); });
}

std::vector<std::byte> shortened(std::vector<std::byte> file, std::size_t n_bytes) {
  file.resize(file.size() - n_bytes);
  return file;
}

const std::string kCountOf9 = "0900000000000000";
const std::string kCountOf2To61 = "0000000000000020";
const std::string kCountOf2To63 = "0000000000000080";

std::vector<BrokenFile> broken_headers() {
  constexpr auto kBad = ErrorKind::kBadFile;
  constexpr auto kUnsupported = ErrorKind::kUnsupported;
  return {
      {"Empty", kBad, "expected a header of 24 bytes, found 0", {}},
      {"HeaderCutShort", kBad, "expected a header of 24 bytes, found 23",
       from_hex("47475546 03000000 0000000000000000 00000000000000")},
      {"WrongMagic", kBad, "expected the magic 'GGUF', found 'GGML'",
       from_hex("47474d4c 03000000 0000000000000000 0000000000000000")},
      {"UnprintableMagic", kBad, "found '\\x1b[2J'", from_hex("1b5b324a 03000000 0000000000000000 0000000000000000")},
      {"Version0", kUnsupported, "expected 2 or 3, found 0", file_with([](auto& b) { b.version = 0; })},
      {"Version1", kUnsupported, "expected 2 or 3, found 1", file_with([](auto& b) { b.version = 1; })},
      {"Version4", kUnsupported, "expected 2 or 3, found 4", file_with([](auto& b) { b.version = 4; })},
      {"BigEndian", kUnsupported, "big-endian GGUF", file_with([](auto& b) { b.version = 0x03000000; })},
      {"TooManyKeys", kBad, "key count: expected at most 65536, found 65537",
       file_with([](auto& b) { b.extra_keys = 65536; })},
      {"TooManyTensors", kBad, "tensor count: expected at most 262144, found 262145",
       file_with([](auto& b) { b.extra_tensors = 262143; })},
      {"CountOfAllOnes", kBad, "tensor count: expected at most",
       file_with([](auto& b) { b.extra_tensors = kHuge - 2; })},
      {"MoreKeysThanBytes", kBad, "truncated: 65536 keys and 2 tensors need at least 852032 bytes",
       file_with([](auto& b) { b.extra_keys = 65535; })},
      {"MoreTensorsThanBytes", kBad, "truncated: 1 keys and 202 tensors need at least",
       file_with([](auto& b) { b.extra_tensors = 200; })},
      {"AlignmentNoPowerOfTwo", kBad, "'general.alignment': expected a power of two from 8 to 65536, found 48",
       file_with([](auto& b) { b.add("general.alignment", 48u); })},
      {"AlignmentZero", kBad, "found 0", file_with([](auto& b) { b.add("general.alignment", 0u); })},
      {"AlignmentTooSmall", kBad, "found 4", file_with([](auto& b) { b.add("general.alignment", 4u); })},
      {"AlignmentTooLarge", kBad, "found the integer 131072",
       file_with([](auto& b) { b.add("general.alignment", 131072u); })},
      {"AlignmentIsText", kBad, "key 'general.alignment': expected an integer",
       file_with([](auto& b) { b.add("general.alignment", "32"); })},
  };
}

std::vector<BrokenFile> broken_metadata() {
  constexpr auto kBad = ErrorKind::kBadFile;
  constexpr auto kUnsupported = ErrorKind::kUnsupported;
  return {
      {"EmptyKey", kBad, "key 1: expected a name, found none", file_with([](auto& b) { b.add("", 1u); })},
      {"KeyTooLong", kBad, "key is too long: expected at most 65535 bytes, found 65536",
       file_with([](auto& b) { b.add(std::string(65536, 'k'), 1u); })},
      {"KeyLongerThanFile", kBad, "truncated: expected 65535 bytes",
       shortened(file_with([](auto& b) { b.add(std::string(65535, 'k'), 1u); }), 65535)},
      {"DuplicateKey", kBad, "duplicate key 'general.architecture'",
       file_with([](auto& b) { b.add("general.architecture", 1u); })},
      {"UnknownValueType", kUnsupported, "key 'k': expected a value type from 0 to 12, found 13",
       file_with_value(static_cast<ValueType>(13), "00")},
      {"UnknownElementType", kUnsupported, "key 'k': expected a value type from 0 to 12, found 99",
       file_with_value(ValueType::kArray, "63000000" + kCountOf9 + "00")},
      {"ArrayOfArrays", kUnsupported, "found an array of arrays",
       file_with_value(ValueType::kArray, "09000000" + kCountOf9 + "00")},
      {"BoolOf2", kBad, "key 'k': expected a bool of 0 or 1, found 2", file_with_value(ValueType::kBool, "02")},
      {"BoolOf2InArray", kBad, "key 'k': expected a bool of 0 or 1, found 255",
       file_with_value(ValueType::kArray, "07000000 0200000000000000 01ff")},
      {"StringTooLong", kBad, "value of key 'k' is too long: expected at most 67108864 bytes, found 67108865",
       file_with_value(ValueType::kString, "0100000400000000")},
      {"StringOfAllOnes", kBad, "value of key 'k' is too long",
       file_with_value(ValueType::kString, "ffffffffffffffff")},
      {"StringLongerThanFile", kBad, "truncated: expected 67108864 bytes",
       file_with_value(ValueType::kString, "0000000400000000")},
      {"TooManyStrings", kBad, "key 'k': expected at most 16777216 elements, found 2305843009213693952",
       file_with_value(ValueType::kArray, "08000000" + kCountOf2To61)},
      {"MoreStringsThanBytes", kBad, "truncated: key 'k': 16777216 elements need at least 8 bytes each",
       file_with_value(ValueType::kArray, "08000000 0000000100000000")},
      {"StringInArrayTooLong", kBad, "string of key 'k' is too long",
       file_with_value(ValueType::kArray, "08000000 0100000000000000 ffffffffffffff7f")},
      {"TooManyNumbers", kBad, "expected at most 1073741824 elements, found 9223372036854775808",
       file_with_value(ValueType::kArray, "0a000000" + kCountOf2To63)},
      {"MoreNumbersThanBytes", kBad, "truncated: key 'k': 1073741824 elements need at least 8 bytes each",
       file_with_value(ValueType::kArray, "0c000000 0000004000000000")},
      {"ControlCharactersInKey", kBad, "duplicate key '\\x1b[31mred\\x0a'",
       file_with([](auto& b) { b.add("\x1b[31mred\n", 1u).add("\x1b[31mred\n", 1u); })},
      {"LongNamesAreCut", kBad, "duplicate key '" + std::string(64, 'x') + "...'",
       file_with([](auto& b) { b.add(std::string(5000, 'x'), 1u).add(std::string(5000, 'x'), 1u); })},
  };
}

std::vector<BrokenFile> broken_directories() {
  constexpr auto kBad = ErrorKind::kBadFile;
  constexpr auto kUnsupported = ErrorKind::kUnsupported;
  return {
      {"NoTensorName", kBad, "expected a tensor's name, found none",
       file_with([](auto& b) { b.tensors[0].name.clear(); })},
      {"TensorNameTooLong", kBad, "tensor name is too long: expected at most 64 bytes, found 65",
       file_with([](auto& b) { b.tensors[0].name.assign(65, 'n'); })},
      {"DuplicateTensor", kBad, "duplicate tensor 'a'", file_with([](auto& b) { b.tensors[1].name = "a"; })},
      {"NoDimensions", kBad, "tensor 'c': expected 1 to 4 dimensions, found 0", file_with_tensor(0, {})},
      {"FiveDimensions", kBad, "tensor 'c': expected 1 to 4 dimensions, found 5", file_with_tensor(0, {1, 1, 1, 1, 1})},
      {"ZeroDimension", kBad, "found dimension 1 of 0", file_with_tensor(0, {2, 0})},
      {"TooManyElements", kBad, "expected 1 to 2^62 elements", file_with_tensor(0, {std::uint64_t{1} << 62, 2})},
      {"ElementsOverflow", kBad, "expected 1 to 2^62 elements, found dimension 2 of 4294967296",
       file_with_tensor(0, {std::uint64_t{1} << 32, 2, std::uint64_t{1} << 32})},
      {"BytesOverflow", kBad, "tensor 'c': 4611686018427387904 elements are too many",
       file_with_tensor(0, {std::uint64_t{1} << 62})},
      {"UnknownType", kUnsupported, "tensor 'c': unknown tensor type 99; expected one of F32, F16,",
       file_with_tensor(99, {2})},
      {"RemovedType", kUnsupported, "unknown tensor type 4;", file_with_tensor(4, {2})},
      {"TileBoundType", kUnsupported, "tensor 'c': tensor type 38 (TL1) is not supported; its byte order",
       file_with_tensor(38, {2})},
      {"OtherTernaryType", kUnsupported, "tensor type 37 (I8_S) is not supported; use a file",
       file_with_tensor(37, {2})},
      {"TwoTypesOfOneNumber", kUnsupported, "tensor type 39 (TL2 or MXFP4) is not supported; as TL2, its byte order",
       file_with_tensor(39, {2})},
      {"RowsNoWholeGroups", kBad, "tensor 'c': expected a multiple of 4 rows for type IQ2_BN_R4, found 2",
       file_with_tensor(335, {64, 2})},
      {"ColumnsNoWholeBlocks", kBad, "tensor 'c': expected a multiple of 256 columns for type TQ2_0, found 128",
       file_with_tensor(35, {128, 2})},
      {"ElementsNoWholeBlocks", kBad, "tensor 'c': expected a multiple of 128 elements for type I2_S, found 64",
       file_with_tensor(36, {32, 2})},
      {"OffsetNotAligned", kBad, "tensor 'b': expected an offset that is a multiple of 32, found 40",
       file_with([](auto& b) { b.tensors[1].offset = 40; })},
      {"OffsetBehindFile", kBad, "truncated: tensor 'b': expected 32 bytes at",
       file_with([](auto& b) { b.tensors[1].offset = std::uint64_t{1} << 40; })},
      {"OffsetOverflows", kBad, "truncated: tensor 'b': expected 32 bytes at",
       file_with([](auto& b) { b.tensors[1].offset = kHuge - 31; })},
      {"DataCutShort", kBad, "truncated: tensor 'b': expected 32 bytes at", shortened(file_with([](auto&) {}), 1)},
      {"TensorsOverlap", kBad, "tensor 'b' at offset 0 overlaps tensor 'a' at 0",
       file_with([](auto& b) { b.tensors[1].offset = 0; })},
      {"TensorsOverlapInReverse", kBad, "tensor 'a' at offset 32 overlaps tensor 'b' at 0", file_with([](auto& b) {
         b.tensors[0].offset = 32;
         b.tensors[1] = {"b", 0, {16}, 0, std::vector<std::byte>(64)};
       })},
      {"I2sTailOverlaps", kBad, "tensor 'd' at offset 96 overlaps tensor 'c' at 64", file_with([](auto& b) {
         b.add_tensor("c", 36, {128}, std::vector<std::byte>(32));  // 32 bytes of codes, 32 of the scale's tail
         b.add_tensor("d", 0, {8}, std::vector<float>(8));
       })},
  };
}

class BrokenGguf : public testing::TestWithParam<BrokenFile> {};

TEST_P(BrokenGguf, IsRefused) {
  const auto& [name, kind, message, bytes] = GetParam();
  expect_error(kind, message, [&, &file = bytes] { std::ignore = parse_gguf(file, "bad.gguf", weights::tensor_size); });
  expect_error(kind,
               "bad.gguf: ", [&, &file = bytes] { std::ignore = parse_gguf(file, "bad.gguf", weights::tensor_size); });
}

const auto kNameOf = [](const testing::TestParamInfo<BrokenFile>& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Header, BrokenGguf, testing::ValuesIn(broken_headers()), kNameOf);
INSTANTIATE_TEST_SUITE_P(Metadata, BrokenGguf, testing::ValuesIn(broken_metadata()), kNameOf);
INSTANTIATE_TEST_SUITE_P(Directory, BrokenGguf, testing::ValuesIn(broken_directories()), kNameOf);

TEST(BrokenGgufBase, TheFileBeforeTheChangesIsValid) {
  const std::vector<std::byte> file = file_with([](auto&) {});
  EXPECT_EQ(parse_gguf(file, "good.gguf", weights::tensor_size).tensors.size(), 2u);
}

}  // namespace
}  // namespace tern::format
