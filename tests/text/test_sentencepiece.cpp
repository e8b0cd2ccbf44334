#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/support/expect_error.h"
#include "tokenizer_file.h"

namespace tern {
namespace {

using Ids = std::vector<Token>;

constexpr Token kFirstByte = 3;  // tokens 0 to 2 are <unk> <s> </s>, 3 to 258 the bytes
constexpr Token kFirst = 259;

const std::string kMark = "\xE2\x96\x81";  // U+2581, a space in SentencePiece's spelling

//   259 "▁"   260 a   261 b   262 c   263 "ab" -1   264 "bc" -2   265 "▁a" -3   266 "abc" -4   267 "▁▁" -5
test::TokenizerFile abc_file() {
  return test::sentencepiece_file({{kMark, test::kNormal, -10},
                                   {"a", test::kNormal, -11},
                                   {"b", test::kNormal, -12},
                                   {"c", test::kNormal, -13},
                                   {"ab", test::kNormal, -1},
                                   {"bc", test::kNormal, -2},
                                   {kMark + "a", test::kNormal, -3},
                                   {"abc", test::kNormal, -4},
                                   {kMark + kMark, test::kNormal, -5}});
}

TEST(SentencePiece, MergesTheHighestScoreFirst) {
  const Tokenizer tokenizer = abc_file().tokenizer();
  EXPECT_EQ(tokenizer.kind(), "SentencePiece BPE");
  EXPECT_EQ(tokenizer.pre_rule(), "");
  EXPECT_TRUE(tokenizer.adds_space_prefix());
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_EQ(tokenizer.eos(), 2);
  // ▁ a b c: ab (-1) goes before bc (-2) and ▁a (-3); then abc.
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{259, 266}));
  EXPECT_EQ(tokenizer.encode("bc"), (Ids{259, 264}));
  EXPECT_EQ(tokenizer.encode("ac"), (Ids{265, 262}));
  EXPECT_EQ(tokenizer.encode("a a"), (Ids{265, 265}));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
}

TEST(SentencePiece, ScoresOrderAcrossSignsAndTiesGoLeft) {
  const auto encode = [](float ab, float bc) {
    return test::sentencepiece_file(
               {{"a"}, {"b"}, {"c"}, {"ab", test::kNormal, ab}, {"bc", test::kNormal, bc}, {kMark}})
        .tokenizer()
        .encode("abc");
  };
  const Ids ab_first = {kFirst + 5, kFirst + 3, kFirst + 2};
  const Ids bc_first = {kFirst + 5, kFirst, kFirst + 4};
  EXPECT_EQ(encode(1, -1), ab_first);
  EXPECT_EQ(encode(-1, 1), bc_first);
  EXPECT_EQ(encode(1, 2), bc_first);
  EXPECT_EQ(encode(-1, -2), ab_first);
  EXPECT_EQ(encode(-2, -1), bc_first);
  EXPECT_EQ(encode(0.0f, -0.0f), ab_first);
  EXPECT_EQ(encode(-0.0f, 0.0f), ab_first);
  EXPECT_EQ(encode(-1e30f, -1e-30f), bc_first);
}

TEST(SentencePiece, UnknownCharactersBecomeBytes) {
  const Tokenizer tokenizer = abc_file().tokenizer();
  EXPECT_EQ(tokenizer.encode("\xC3\xA9"), (Ids{259, kFirstByte + 0xC3, kFirstByte + 0xA9}));
  EXPECT_EQ(tokenizer.encode("\xFF"
                             "a"),
            (Ids{259, kFirstByte + 0xFF, 260}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("\xC3\xA9\xFF")), "\xC3\xA9\xFF");
}

TEST(SentencePiece, WithoutByteTokensTheyAreUnknown) {
  test::TokenizerFile file;
  file.set("tokenizer.ggml.model", "llama");
  test::set_tokens(file, {{"<unk>", test::kUnknown},
                          {"<s>", test::kControl},
                          {"</s>", test::kControl},
                          {kMark},
                          {"a"},
                          {"<0xC3>", test::kByte}});
  EXPECT_EQ(file.tokenizer().encode("a\xC3\xA9"
                                    "a"),
            (Ids{3, 4, 0, 4}));
  file.set("tokenizer.ggml.unknown_token_id", test::kNoTokenId);
  EXPECT_EQ(file.tokenizer().encode("a\xC3\xA9"
                                    "a"),
            (Ids{3, 4, 4}));
}

TEST(SentencePiece, SpacePrefixIsAddedAndDropped) {
  test::TokenizerFile file = abc_file();
  EXPECT_EQ(file.tokenizer().encode(" a"), (Ids{259, 265}));
  EXPECT_EQ(file.tokenizer().encode("  "), (Ids{267, 259}));
  EXPECT_EQ(file.tokenizer().decode(Ids{265, 265}), "a a");
  EXPECT_EQ(file.tokenizer().decode(Ids{1, 265, 265}), "a a");
  EXPECT_EQ(file.tokenizer().decode(Ids{1, 265, 265}, true), "<s>a a");
  EXPECT_EQ(file.tokenizer().decode(Ids{260, 265}), "a a");
  EXPECT_EQ(file.tokenizer().piece(265), " a");

  file.set("tokenizer.ggml.add_space_prefix", false);
  EXPECT_FALSE(file.tokenizer().adds_space_prefix());
  EXPECT_EQ(file.tokenizer().encode("a a"), (Ids{260, 265}));
  EXPECT_EQ(file.tokenizer().decode(Ids{265, 265}), " a a");
}

TEST(SentencePiece, TokensMayCrossWords) {
  // "a▁b" only merges when the text is not cut at its spaces.
  test::TokenizerFile file =
      test::sentencepiece_file({{kMark}, {"a"}, {"b"}, {"a" + kMark}, {"a" + kMark + "b", test::kNormal, 1}});
  EXPECT_EQ(file.tokenizer().encode("ba b"), (Ids{kFirst, kFirst + 2, kFirst + 4}));
}

TEST(SentencePiece, TextNeverBecomesControlUnknownOrByteTokens) {
  // All parts of "<s>" and "<0x41>" merge, so only the type of the whole keeps it out.
  test::TokenizerFile file = test::sentencepiece_file(
      {{kMark}, {"<"}, {"s"}, {">"}, {"<s"}, {"0"}, {"x"}, {"4"}, {"1"}, {"<0"}, {"<0x"}, {"<0x4"}, {"<0x41"}});
  const Tokenizer tokenizer = file.tokenizer();
  EXPECT_EQ(tokenizer.encode("<s>"), (Ids{kFirst, kFirst + 4, kFirst + 3}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("<0x41>")), "<0x41>");
  EXPECT_EQ(tokenizer.encode("<s>", {.parse_special = true}), (Ids{1}));
}

TEST(SentencePiece, AnyBytesSurvive) {
  std::mt19937 random(9);
  for (const bool prefix : {true, false}) {
    test::TokenizerFile file = abc_file();
    file.set("tokenizer.ggml.add_space_prefix", prefix);
    const Tokenizer tokenizer = file.tokenizer();
    for (int round = 0; round < 1000; ++round) {
      std::string text(random() % 40, ' ');
      for (char& c : text) c = random() % 5 == 0 ? static_cast<char>(random()) : "abc "[random() % 4];
      if (text.find(kMark) != std::string::npos) continue;  // U+2581 and a space are the same to SentencePiece
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << testing::PrintToString(text);
    }
  }
}

TEST(SentencePiece, HasNoPreTokenizerRule) {
  test::expect_error(ErrorKind::kInvalidArgument, "llama3", [] { (void)abc_file().tokenizer("llama3"); });
}

}  // namespace
}  // namespace tern
