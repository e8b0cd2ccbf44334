#include <gtest/gtest.h>

#include <string>

#include "src/text/byte_alphabet.h"
#include "src/text/utf8.h"
#include "tokenizer_file.h"

namespace tern::text {
namespace {

TEST(Utf8, WellFormedSequencesHaveTheirLength) {
  const std::pair<std::string, std::size_t> cases[] = {{"a", 1},
                                                       {std::string(1, '\0'), 1},
                                                       {"\x7F", 1},
                                                       {"\xC2\x80", 2},
                                                       {"\xDF\xBF", 2},
                                                       {"\xE0\xA0\x80", 3},
                                                       {"\xED\x9F\xBF", 3},
                                                       {"\xEE\x80\x80", 3},
                                                       {"\xEF\xBF\xBF", 3},
                                                       {"\xF0\x90\x80\x80", 4},
                                                       {"\xF4\x8F\xBF\xBF", 4}};
  for (const auto& [bytes, length] : cases) {
    EXPECT_EQ(utf8_sequence_length(bytes, 0), length) << testing::PrintToString(bytes);
    EXPECT_EQ(utf8_sequence_length("x" + bytes + "y", 1), length) << testing::PrintToString(bytes);
  }
}

TEST(Utf8, OthersAreNone) {
  const std::string cases[] = {"\x80",
                               "\xBF",
                               "\xC0\x80",
                               "\xC1\xBF",
                               "\xC2",
                               "\xC2\x41",
                               "\xE0\x9F\x80",
                               "\xED\xA0\x80",
                               "\xE1\x80",
                               "\xE1\x80\xC0",
                               "\xF0\x8F\x80\x80",
                               "\xF4\x90\x80\x80",
                               "\xF5\x80\x80\x80",
                               "\xFF",
                               "\xF1\x80\x80"};
  for (const std::string& bytes : cases) EXPECT_EQ(utf8_sequence_length(bytes, 0), 0u) << testing::PrintToString(bytes);
}

TEST(Utf8, OnlyWhatCanBeCompletedIsIncomplete) {
  for (const std::string character :
       {"\xC2\xA0", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    for (std::size_t n = 1; n < character.size(); ++n) {
      EXPECT_EQ(utf8_incomplete_suffix("ab" + character.substr(0, n)), n) << testing::PrintToString(character);
    }
    EXPECT_EQ(utf8_incomplete_suffix("ab" + character), 0u) << testing::PrintToString(character);
  }
  for (const std::string hopeless : {"", "a", "\x80", "\xC0", "\xE0\x80", "\xED\xA0", "\xF4\x90", "\xF5", "\xE1\x80 ",
                                     "\xF0\x80\x80", "\x80\x80\x80\x80"}) {
    EXPECT_EQ(utf8_incomplete_suffix(hopeless), 0u) << testing::PrintToString(hopeless);
  }
}

TEST(ByteAlphabet, SpellsEveryByte) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string expected(1, static_cast<char>(byte));
    std::string bytes = "before";
    EXPECT_TRUE(kByteAlphabet.append_bytes(test::spell(expected), bytes));
    EXPECT_EQ(bytes, "before" + expected);
  }
  std::string space;
  EXPECT_TRUE(kByteAlphabet.append_bytes("\xC4\xA0\xC4\x8A", space));  // U+0120 U+010A
  EXPECT_EQ(space, " \n");
}

TEST(ByteAlphabet, RefusesOtherCharactersAndChangesNothing) {
  for (const std::string spelled : {" ", "a b", "\n", "\xC2\xA0", "\xC5\x84", "\xC5\xBF", "\xE2\x96\x81", "a\xC4",
                                    "\xC4"
                                    "a",
                                    "\xFF", "\x80", "\xC6\x80"}) {
    std::string bytes = "before";
    EXPECT_FALSE(kByteAlphabet.append_bytes(spelled, bytes)) << testing::PrintToString(spelled);
    EXPECT_EQ(bytes, "before");
  }
}

}  // namespace
}  // namespace tern::text
