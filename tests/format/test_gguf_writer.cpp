#include "src/format/gguf_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <limits>

#include "src/base/check.h"
#include "src/weights/codec.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/gguf_builder.h"

namespace tern::format {
namespace {

using test::GgufBuilder;
using test::Random;

/// A directory of its own, which has to be empty but for what the test put there.
class GgufWriter : public testing::Test {
 protected:
  void SetUp() override {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    directory_ = std::filesystem::temp_directory_path() / ("tern-writer-" + name + std::to_string(::getpid()));
    std::filesystem::create_directory(directory_);
    path_ = directory_ / "out.gguf";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::vector<std::byte> read_back() const {
    std::ifstream file(path_, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
    return {first, first + bytes.size()};
  }
  [[nodiscard]] bool is_empty() const { return std::filesystem::is_empty(directory_); }

  std::filesystem::path directory_;
  std::filesystem::path path_;
};

/// Tensors that hand over their bytes in pieces of an odd size.
std::vector<NewTensor> in_pieces(const Gguf& gguf) {
  std::vector<NewTensor> tensors;
  for (const TensorInfo& tensor : gguf.tensors) {
    const auto produce = [data = tensor.data](const PutBytes& put) {
      constexpr std::size_t kPiece = 37;
      for (std::size_t at = 0; at < data.size(); at += kPiece)
        put(data.subspan(at, std::min(kPiece, data.size() - at)));
    };
    tensors.push_back({tensor.name, tensor.type, tensor.dims, tensor.n_dims, tensor.data.size(), produce});
  }
  return tensors;
}

template <typename T>
std::vector<T> random_numbers(Random& random) {
  std::vector<T> numbers(random.below(9));
  for (T& number : numbers) number = static_cast<T>(random.next());
  return numbers;
}

/// Every type of value once, with random contents, and some tensors.
GgufBuilder random_file(Random& random) {
  GgufBuilder file;
  file.add("u8", static_cast<std::uint8_t>(random.next())).add("i8", static_cast<std::int8_t>(random.next()));
  file.add("u16", static_cast<std::uint16_t>(random.next())).add("i16", static_cast<std::int16_t>(random.next()));
  file.add("u32", static_cast<std::uint32_t>(random.next())).add("i32", static_cast<std::int32_t>(random.next()));
  file.add("u64", random.next()).add("i64", static_cast<std::int64_t>(random.next()));
  file.add("f32", static_cast<float>(random.below(1000)) / 7.0f).add("f64", static_cast<double>(random.next()) / 7.0);
  file.add("bool", random.below(2) == 1).add("string", std::string(random.below(50), 'x'));
  file.add("numbers", random_numbers<std::int16_t>(random)).add("bytes", random_numbers<std::uint8_t>(random));
  file.add("strings", std::vector<std::string>{"", "a b", std::string(random.below(99), '\n')});
  if (random.below(2) == 1) {
    file.alignment = std::uint64_t{8} << random.below(6);
    file.add("general.alignment", static_cast<std::uint32_t>(file.alignment));
  }
  const std::size_t n_tensors = random.below(5);
  for (std::size_t i = 0; i < n_tensors; ++i) {
    const std::uint64_t cols = 1 + random.below(99), rows = 1 + random.below(9);
    std::vector<std::uint8_t> data(4 * cols * rows);
    for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random.next());
    const bool is_vector = rows == 1;
    file.add_tensor("t" + std::to_string(i), 0,
                    is_vector ? std::vector<std::uint64_t>{cols} : std::vector<std::uint64_t>{cols, rows}, data);
  }
  return file;
}

TEST_F(GgufWriter, WritesTheBytesThatWereParsed) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    std::vector<std::byte> bytes = random_file(random).build();
    const Gguf gguf = parse_gguf(bytes, "before", weights::tensor_size);
    ASSERT_TRUE(write_gguf(path_, gguf.metadata, in_pieces(gguf)));
    bytes.resize((bytes.size() + gguf.alignment - 1) / gguf.alignment * gguf.alignment);  // the last tensor is padded
    ASSERT_EQ(read_back(), bytes);
  }
}

TEST_F(GgufWriter, GivesNewValuesTheUsualTypes) {
  Metadata metadata("new");
  metadata.add("small", std::uint64_t{7});
  metadata.add("large", std::numeric_limits<std::uint64_t>::max());
  metadata.add("negative", std::int64_t{-7});
  metadata.add("number", 0.5);
  ASSERT_TRUE(write_gguf(path_, metadata, {}));
  const std::vector<std::byte> bytes = read_back();
  const Gguf gguf = parse_gguf(bytes, "after", weights::tensor_size);
  EXPECT_EQ(gguf.metadata.stored_type(0), ValueType::kU32);
  EXPECT_EQ(gguf.metadata.stored_type(1), ValueType::kU64);
  EXPECT_EQ(gguf.metadata.stored_type(2), ValueType::kI32);
  EXPECT_EQ(gguf.metadata.stored_type(3), ValueType::kF32);
  EXPECT_EQ(gguf.metadata.integer("large", std::numeric_limits<std::uint64_t>::max()),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(gguf.metadata.number("number"), 0.5);
}

/// One tensor of 1 MB in pieces of 64 KiB.
std::vector<NewTensor> large_tensor() {
  const auto produce = [](const PutBytes& put) {
    for (int i = 0; i < 16; ++i) put(std::vector<std::byte>(65536));
  };
  return {{"t", 0, {262144, 1, 1, 1}, 1, 1048576, produce}};
}

TEST_F(GgufWriter, LeavesNothingWhenItIsStopped) {
  int asked = 0;
  double share = 0;
  WriteHooks hooks{.on_progress = [&](double done) { share = done; }, .keep_going = [&] { return ++asked < 5; }};
  EXPECT_FALSE(write_gguf(path_, Metadata("new"), large_tensor(), hooks));
  EXPECT_EQ(asked, 5);
  EXPECT_GT(share, 0.1);
  EXPECT_LT(share, 0.5);
  EXPECT_TRUE(is_empty());
}

TEST_F(GgufWriter, LeavesNothingWhenATensorCanNotBeMade) {
  std::vector<NewTensor> tensors = large_tensor();
  tensors[0].produce = [](const PutBytes& put) {
    put(std::vector<std::byte>(65536));
    fail(ErrorKind::kBadFile, "no more");
  };
  test::expect_error(ErrorKind::kBadFile, "no more",
                     [&] { static_cast<void>(write_gguf(path_, Metadata("new"), tensors)); });
  EXPECT_TRUE(is_empty());
}

TEST_F(GgufWriter, LeavesTheFileThatWasThereUntilItIsComplete) {
  std::ofstream(path_) << "old";
  const WriteHooks stop{.on_progress = {}, .keep_going = [] { return false; }};
  EXPECT_FALSE(write_gguf(path_, Metadata("new"), large_tensor(), stop));
  EXPECT_EQ(std::filesystem::file_size(path_), 3u);
  EXPECT_TRUE(write_gguf(path_, Metadata("new"), large_tensor()));
  EXPECT_GT(std::filesystem::file_size(path_), 1048576u);
}

TEST_F(GgufWriter, SaysThatThereIsNoRoomAndLeavesNothing) {
  std::signal(SIGXFSZ, SIG_IGN);
  ::rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const ::rlimit small{.rlim_cur = 200000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  test::expect_error(ErrorKind::kIo, "out.gguf: cannot be written: File too large",
                     [&] { static_cast<void>(write_gguf(path_, Metadata("new"), large_tensor())); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_TRUE(is_empty());
}

TEST_F(GgufWriter, NamesTheFileThatItCanNotMake) {
  test::expect_error(ErrorKind::kIo, "nowhere/out.gguf: cannot be written: No such file",
                     [&] { static_cast<void>(write_gguf(directory_ / "nowhere" / "out.gguf", Metadata("new"), {})); });
}

TEST_F(GgufWriter, DoesNotWriteToWhatLiesInTheWay) {
  const std::filesystem::path other = directory_ / "other";
  std::ofstream(other) << "mine";
  std::filesystem::create_symlink(other, path_.string() + "." + std::to_string(::getpid()) + ".part");
  EXPECT_TRUE(write_gguf(path_, Metadata("new"), large_tensor()));
  EXPECT_EQ(std::filesystem::file_size(other), 4u);
}

}  // namespace
}  // namespace tern::format
