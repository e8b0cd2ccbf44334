// Two types share the number 42: blocks of 64 weights in 18 bytes, and of 128 in 34.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "src/format/gguf.h"
#include "src/weights/codec.h"
#include "tests/support/expect_error.h"
#include "tests/support/gguf_builder.h"

namespace tern::format {
namespace {

using test::expect_error;
using test::GgufBuilder;

constexpr std::uint32_t kShared = 42;
constexpr std::uint32_t kBlocksOf128 = 142;

Gguf parse(const std::vector<std::byte>& file) { return parse_gguf(file, "test.gguf", weights::tensor_size); }

/// (rows, cols) of the shared number, in blocks of 64 or 128.
void add_shared(GgufBuilder& builder, const std::string& name, std::uint64_t rows, std::uint64_t cols,
                std::size_t block) {
  const std::size_t block_bytes = block == 64 ? 18 : 34;
  builder.add_tensor(name, kShared, {cols, rows}, std::vector<std::uint8_t>(rows * cols / block * block_bytes));
}

GgufBuilder two_tensors(std::size_t block) {
  GgufBuilder builder;
  builder.add_tensor("norm", 0, {3}, std::vector<float>(3));
  add_shared(builder, "a", 4, 1024, block);
  builder.add_tensor("norm2", 0, {3}, std::vector<float>(3));
  add_shared(builder, "b", 3, 1280, block);
  return builder;
}

TEST(SharedTypes, AreToldApartByWhereTensorsLie) {
  for (const std::size_t block : {std::size_t{64}, std::size_t{128}}) {
    for (const std::size_t padding : {std::size_t{0}, std::size_t{31}}) {  // behind the last tensor
      std::vector<std::byte> file = two_tensors(block).build();
      file.resize(file.size() + padding);
      const Gguf gguf = parse(file);
      for (const char* name : {"a", "b"}) {
        const TensorInfo& tensor = *gguf.find(name);
        EXPECT_EQ(tensor.type, block == 64 ? kShared : kBlocksOf128);
        EXPECT_EQ(tensor.data.size(), tensor.n_elements / block * (block == 64 ? 18 : 34));
      }
    }
  }
}

TEST(SharedTypes, TheOrderOfTheDirectoryDoesNotMatter) {
  GgufBuilder builder = two_tensors(128);
  std::swap(builder.tensors[1], builder.tensors[3]);
  std::swap(builder.tensors[0], builder.tensors[2]);
  EXPECT_EQ(parse(builder.build()).find("a")->type, kBlocksOf128);
}

TEST(SharedTypes, AShapeThatOnlyOneTypeHasDecides) {
  GgufBuilder builder;
  add_shared(builder, "a", 1, 128, 64);
  add_shared(builder, "b", 1, 192, 64);
  EXPECT_EQ(parse(builder.build()).find("a")->type, kShared);
}

TEST(SharedTypes, WhatFitsBothIsRefused) {
  GgufBuilder builder;
  add_shared(builder, "a", 1, 128, 64);  // 36 or 34 bytes, padded to 64
  builder.add_tensor("norm", 0, {3}, std::vector<float>(3));
  expect_error(ErrorKind::kUnsupported,
               "test.gguf: tensor 'a': type 42 has two meanings, Q2_0 in blocks of 64 or of 128; expected tensors that "
               "fill their places in one of them, found that they do in both",
               [&] { std::ignore = parse(builder.build()); });
}

TEST(SharedTypes, WhatFitsNeitherIsRefused) {
  GgufBuilder builder = two_tensors(64);
  add_shared(builder, "c", 4, 1024, 128);
  expect_error(ErrorKind::kUnsupported, "found that they do in neither", [&] { std::ignore = parse(builder.build()); });
  GgufBuilder gap = two_tensors(64);
  for (std::size_t behind_a : {std::size_t{2}, std::size_t{3}}) gap.tensors[behind_a].offset += 32;
  expect_error(ErrorKind::kUnsupported, "found that they do in neither", [&] { std::ignore = parse(gap.build()); });
}

TEST(SharedTypes, AFileThatIsCutOffIsTruncated) {
  for (const std::size_t block : {std::size_t{64}, std::size_t{128}}) {
    std::vector<std::byte> file = two_tensors(block).build();
    file.resize(file.size() - 200);
    expect_error(ErrorKind::kBadFile, "truncated", [&] { std::ignore = parse(file); });
  }
}

}  // namespace
}  // namespace tern::format
