#include "src/format/open_gguf.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "src/weights/codec.h"
#include "tests/support/expect_error.h"
#include "tests/support/gguf_builder.h"

namespace tern::format {
namespace {

using test::expect_error;
using test::GgufBuilder;

/// Part `number` of three, with one tensor of two values.
GgufBuilder part(std::uint16_t number) {
  GgufBuilder builder;
  if (number == 1) builder.add("general.architecture", "llama");
  builder.add("split.no", static_cast<std::uint16_t>(number - 1)).add("split.count", std::uint16_t{3});
  builder.add("split.tensors.count", std::int32_t{3});
  const auto value = static_cast<float>(number);
  builder.add_tensor("t" + std::to_string(number), 0, {2}, std::vector<float>{value, 2 * value});
  return builder;
}

/// Three parts in a folder that goes when the test ends.
class OpenGguf : public testing::Test {
 protected:
  OpenGguf() {
    std::string name = (std::filesystem::temp_directory_path() / "tern-split-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    for (std::uint16_t number = 1; number <= 3; ++number) write(number, part(number));
  }
  ~OpenGguf() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::filesystem::path path(int number) const {
    return folder_ / ("m-0000" + std::to_string(number) + "-of-00003.gguf");
  }
  void write(int number, const GgufBuilder& builder) const {
    const std::vector<std::byte> bytes = builder.build();
    std::ofstream(path(number), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  Gguf open(const std::filesystem::path& file) { return open_gguf(file, files_, weights::tensor_size); }
  void expect_refused(ErrorKind kind, const std::string& what, int first = 1) {
    expect_error(kind, what, [&] { static_cast<void>(open(path(first))); });
  }

  std::filesystem::path folder_;
  MappedFiles files_;
};

TEST_F(OpenGguf, JoinsThePartsWhicheverIsNamed) {
  for (int named = 1; named <= 3; ++named) {
    const Gguf gguf = open(path(named));
    EXPECT_EQ(gguf.metadata.string("general.architecture"), "llama");
    ASSERT_EQ(gguf.tensors.size(), 3u);
    for (int number = 1; number <= 3; ++number) {
      const TensorInfo* tensor = gguf.find("t" + std::to_string(number));
      ASSERT_NE(tensor, nullptr);
      float value = 0;
      std::memcpy(&value, tensor->data.data(), sizeof value);
      EXPECT_EQ(value, static_cast<float>(number));
    }
  }
}

TEST_F(OpenGguf, OneFileMayHaveTheNameOfAPart) {
  GgufBuilder whole;
  whole.add_tensor("t", 0, {2}, std::vector<float>{1, 2});
  write(1, whole);
  EXPECT_EQ(open(path(1)).tensors.size(), 1u);
}

TEST_F(OpenGguf, RefusesAMissingPart) {
  std::filesystem::remove(path(3));
  expect_refused(ErrorKind::kIo, path(3).string() + ": is missing");
  std::filesystem::remove(path(1));
  expect_refused(ErrorKind::kIo, path(1).string() + ": is missing", 2);
}

TEST_F(OpenGguf, RefusesAPartTwice) {
  write(3, part(2));
  expect_refused(ErrorKind::kBadFile,
                 path(3).string() + ": key 'split.no': expected 2, as the file's name says, found 1");
}

TEST_F(OpenGguf, RefusesAPartOfAnotherModel) {
  GgufBuilder foreign = part(2);
  write(2, foreign.remove("split.count").add("split.count", std::uint16_t{4}));
  expect_refused(ErrorKind::kBadFile, path(2).string() + ": key 'split.count': expected 3");
  write(2, foreign.remove("split.count"));
  expect_refused(ErrorKind::kBadFile, "'split.count': expected 3, as the file's name says, found none");
  GgufBuilder doubled = part(2);
  doubled.tensors[0].name = "t1";
  write(2, doubled);
  expect_refused(ErrorKind::kBadFile, path(2).string() + ": duplicate tensor 't1'");
  GgufBuilder more = part(2);
  write(2, more.add_tensor("t4", 0, {1}, std::vector<float>{1}));
  expect_refused(ErrorKind::kBadFile, "split.tensors.count': expected 4, as the 3 parts have together, found 3");
}

TEST_F(OpenGguf, RefusesAPartUnderAnotherName) {
  const std::filesystem::path other = folder_ / "other.gguf";
  std::filesystem::copy_file(path(1), other);
  expect_error(ErrorKind::kBadFile, other.string() + ": a part of a model split in 3 files",
               [&] { static_cast<void>(open(other)); });
}

TEST_F(OpenGguf, CountOfWrongTypeIsRefused) {
  GgufBuilder first = part(1);
  write(1, first.remove("split.count").add("split.count", "3"));
  expect_refused(ErrorKind::kBadFile, "key 'split.count': expected an integer");
}

}  // namespace
}  // namespace tern::format
