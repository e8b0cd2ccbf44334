#include <gtest/gtest.h>

#include "hf_directory.h"
#include "src/huggingface/safetensors.h"
#include "tests/support/expect_error.h"

namespace tern::huggingface {
namespace {

using test::expect_error;

std::vector<StoredTensor> parse(const std::vector<std::byte>& file) {
  static Arena arena;  // names of the result lie there
  return parse_safetensors(file, "file", arena);
}

std::vector<StoredTensor> parse(std::string_view header, std::string_view data = {}) {
  static std::vector<std::byte> file;  // data of the result lie there
  return parse(file = test::safetensors_file(header, data));
}

TEST(Safetensors, ReadsNamesShapesAndBytes) {
  const auto tensors = parse(R"({"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]},"__metadata__":{"x":"y"},)"
                             R"("a":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},)"
                             R"("none":{"dtype":"F32","shape":[0,3],"data_offsets":[9,9]}}   )",
                             "123456789");
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].dtype, Dtype::kBf16);
  EXPECT_EQ(tensors[0].shape, (std::vector<std::uint64_t>{2, 2}));
  EXPECT_EQ(tensors[0].n_elements, 4u);
  EXPECT_EQ(static_cast<char>(tensors[0].data[0]), '1');
  EXPECT_EQ(tensors[1].name, "b");
  EXPECT_EQ(tensors[1].n_elements, 1u);
  EXPECT_EQ(static_cast<char>(tensors[1].data[0]), '9');
  EXPECT_EQ(tensors[2].n_elements, 0u);
}

TEST(Safetensors, RefusesBrokenHeaders) {
  const auto refused = [](std::string_view part, std::string_view header, std::string_view data = {}) {
    expect_error(ErrorKind::kBadFile, part, [&] { static_cast<void>(parse(header, data)); });
  };
  refused("header: expected 2 to 100000000 bytes, found 1", "{");
  refused("header: expected '{', found '['", "[]");
  refused("mistake at byte", "{\"a\"");
  refused("mistake at byte", "{} x");
  refused("expected an object of dtype, shape and data_offsets", R"({"a":{"dtype":"U8","shape":[1]}})", "1");
  refused("duplicate key 'a'",
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
          R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          "1");
  refused("key a.shape[0]: expected an integer", R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "1");
  refused("key a.shape[0]: expected an integer", R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", "1");
  refused("key a.shape: expected a list of at most 8",
          R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", "1");
  refused("less than 2^63 bytes", R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,1]}})", "1");
  refused("key a.data_offsets: expected a list of 2", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", "1");
  refused("expected a tensor's name of 1 to 512 bytes", R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "1");
}

TEST(Safetensors, EveryByteBelongsToOneTensor) {
  const auto header = [](const char* first, const char* second) {
    return std::string(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)") + first +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}";
  };
  EXPECT_EQ(parse(header("[2,4]", "[0,2]"), "1234").front().name, "b");
  const auto refused = [&](std::string_view part, const char* first, const char* second, std::string_view data) {
    expect_error(ErrorKind::kBadFile, part, [&] { static_cast<void>(parse(header(first, second), data)); });
  };
  refused("tensor 'b': expected to begin at byte 2 of the data, found 1", "[0,2]", "[1,3]", "1234");
  refused("tensor 'b': expected to begin at byte 2 of the data, found 3", "[0,2]", "[3,5]", "12345");
  refused("expected 4 bytes of data, as the tensors have together, found 5", "[0,2]", "[2,4]", "12345");
  refused("expected bytes within 0 .. 3, found 2 .. 4", "[0,2]", "[2,4]", "123");
  refused("expected bytes within 0 .. 4, found 4 .. 2", "[0,2]", "[4,2]", "1234");
  refused("expected 2 bytes of U8, as its shape says, found 1", "[0,2]", "[2,3]", "123");
}

TEST(Safetensors, RefusesUnknownDtypes) {
  expect_error(ErrorKind::kUnsupported, "key a.dtype: expected a dtype such as BF16, F16, F32 or U8, found 'F4'",
               [] { static_cast<void>(parse(R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", "1")); });
}

TEST(Safetensors, RefusesEveryCut) {
  const auto whole = test::safetensors_file(
      {{"a", "F32", {2}, std::vector<std::byte>(8)}, {"b", "U8", {3}, std::vector<std::byte>(3)}});
  EXPECT_EQ(parse(whole).size(), 2u);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    expect_error(ErrorKind::kBadFile, "file: ", [&] { static_cast<void>(parse(cut)); });
  }
}

}  // namespace
}  // namespace tern::huggingface
