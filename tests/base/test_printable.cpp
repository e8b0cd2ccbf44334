#include "src/base/printable.h"

#include <gtest/gtest.h>

#include <string>

namespace tern {
namespace {

TEST(Printable, KeepsPlainText) { EXPECT_EQ(printable("blk.0.ffn_up.weight ~"), "blk.0.ffn_up.weight ~"); }

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("\x1b[31m\n\t"), "\\x1b[31m\\x0a\\x09");
  EXPECT_EQ(printable("\x7f\x80\xff"), "\\x7f\\x80\\xff");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, EscapesTheBackslashSoThatTextCanNotPoseAsAnEscape) { EXPECT_EQ(printable("\\x41"), "\\x5cx41"); }

TEST(Printable, CutsLongText) {
  EXPECT_EQ(printable(std::string(64, 'a')), std::string(64, 'a'));
  EXPECT_EQ(printable(std::string(65, 'a')), std::string(64, 'a') + "...");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("ab\n", 5), "ab...");  // an escape is not cut in two
}

}  // namespace
}  // namespace tern
