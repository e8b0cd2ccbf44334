#include "src/base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "tests/support/expect_error.h"

namespace tern {
namespace {

using test::expect_error;

/// A folder of this test's own.
class MappedFileTest : public testing::Test {
 protected:
  MappedFileTest() {
    std::string name = (std::filesystem::temp_directory_path() / "tern-mapped-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~MappedFileTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  std::filesystem::path folder_;
};

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST_F(MappedFileTest, ShowsTheBytesOfTheFile) {
  const std::string text(10000, 'x');
  const auto path = write("a", text + "y");
  const MappedFile file(path);
  EXPECT_EQ(text_of(file), text + "y");
  EXPECT_EQ(file.path(), path);
  file.check_not_truncated();
}

TEST_F(MappedFileTest, Moves) {
  MappedFile first(write("a", "abc"));
  const MappedFile second(std::move(first));
  EXPECT_EQ(text_of(second), "abc");
}

TEST_F(MappedFileTest, ReleasedBytesCanBeReadAgain) {
  const std::string text(100000, 'x');
  const MappedFile file(write("a", text));
  EXPECT_EQ(text_of(file), text);
  file.release(file.bytes());
  file.release(file.bytes().subspan(5, 10));  // less than a page: nothing to do
  EXPECT_EQ(text_of(file), text);
}

TEST_F(MappedFileTest, RefusesWhatIsNoFile) {
  expect_error(ErrorKind::kIo, "nothing: cannot open", [&] { MappedFile file(folder_ / "nothing"); });
  expect_error(ErrorKind::kIo, "is a directory, expected a file", [&] { MappedFile file(folder_); });
  expect_error(ErrorKind::kIo, "/dev/null: not a regular file", [] { MappedFile file("/dev/null"); });
  const auto empty = write("empty", "");
  expect_error(ErrorKind::kBadFile, "empty: file is empty", [&] { MappedFile file(empty); });
}

TEST_F(MappedFileTest, DoesNotWaitForTheWriterOfAPipe) {
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_error(ErrorKind::kIo, "pipe: not a regular file", [&] { MappedFile file(pipe); });
}

TEST_F(MappedFileTest, RefusesAFileThatMayNotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const auto path = write("secret", "abc");
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  expect_error(ErrorKind::kIo, "secret: cannot open", [&] { MappedFile file(path); });
}

TEST_F(MappedFileTest, NoticesThatTheFileShrank) {
  const auto path = write("a", "0123456789");
  const MappedFile file(path);
  std::filesystem::resize_file(path, 4);
  expect_error(ErrorKind::kBadFile, "expected 10 bytes, found 4", [&] { file.check_not_truncated(); });
}

}  // namespace
}  // namespace tern
