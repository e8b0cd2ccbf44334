#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/support/expect_error.h"
#include "tokenizer_file.h"

namespace tern {
namespace {

using Ids = std::vector<Token>;

// Tokens 0 to 255 are the bytes. The merges make, in this order:
//   256 "he"   257 "ll"   258 "lo"   259 "hell"   260 " w"   261 "hello"
test::TokenizerFile hello_file() {
  return test::byte_level_file({{"h", "e"}, {"l", "l"}, {"l", "o"}, {"he", "ll"}, {" ", "w"}, {"hell", "o"}});
}

TEST(ByteBpe, MergesInTheOrderOfTheList) {
  const Tokenizer tokenizer = hello_file().tokenizer();
  EXPECT_EQ(tokenizer.kind(), "byte-level BPE");
  EXPECT_EQ(tokenizer.pre_rule(), "gpt-2");
  EXPECT_EQ(tokenizer.vocab_size(), 262u);
  EXPECT_FALSE(tokenizer.adds_space_prefix());
  EXPECT_TRUE(tokenizer.notes().empty());
  // h e l l o: he, then ll (which takes the l from lo), then hell, then hello.
  EXPECT_EQ(tokenizer.encode("hello"), (Ids{261}));
  EXPECT_EQ(tokenizer.encode("lo"), (Ids{258}));
  EXPECT_EQ(tokenizer.encode("llo"), (Ids{257, 'o'}));
  EXPECT_EQ(tokenizer.encode("lllo"), (Ids{257, 258}));
  EXPECT_EQ(tokenizer.encode("hello world"), (Ids{261, 260, 'o', 'r', 'l', 'd'}));
  // The apostrophe ends the word, so nothing merges over it.
  EXPECT_EQ(tokenizer.encode("h'e"), (Ids{'h', '\'', 'e'}));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
}

TEST(ByteBpe, PiecesAreBytes) {
  const Tokenizer tokenizer = hello_file().tokenizer();
  EXPECT_EQ(tokenizer.piece(260), " w");
  EXPECT_EQ(tokenizer.piece(0), std::string(1, '\0'));
  EXPECT_EQ(tokenizer.piece(255), "\xFF");
  EXPECT_EQ(tokenizer.piece(262), "");
  EXPECT_EQ(tokenizer.piece(-1), "");
  EXPECT_EQ(tokenizer.decode(Ids{261, 260, 'o', 9999, -5}), "hello wo");
  EXPECT_EQ(tokenizer.encode("\xE2\x96"), (Ids{0xE2, 0x96}));
}

TEST(ByteBpe, WholeWordsGoFirstWhereTheRuleSaysSo) {
  // "abc" is a token that merging does not reach: a b -> ab leaves no pair with c.
  test::TokenizerFile file = test::byte_level_file({{"a", "b"}}, {{test::spell("abc")}});
  EXPECT_EQ(file.tokenizer("gpt-2").encode("abc"), (Ids{256, 'c'}));
  EXPECT_EQ(file.tokenizer("llama3").encode("abc"), (Ids{257}));
  EXPECT_EQ(file.tokenizer("llama3").encode("abcd"), (Ids{256, 'c', 'd'}));
}

TEST(ByteBpe, MergesPassThroughTextsThatAreNoTokens) {
  // a b -> "ab" and "ab" c -> "abc", but only "abc" is a token.
  test::TokenizerFile file = test::byte_level_file({}, {{test::spell("abc")}});
  file.set("tokenizer.ggml.merges", std::vector<std::string>{"a b", "ab c"});
  const Tokenizer tokenizer = file.tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 257u);
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{256}));
  EXPECT_EQ(tokenizer.encode("abd"), (Ids{'a', 'b', 'd'}));
}

TEST(ByteBpe, TheFirstOfEqualMergesCounts) {
  // With "b c" at rank 0 and again at rank 2, it still goes before "a b".
  test::TokenizerFile file = test::byte_level_file({}, {{"ab"}, {"bc"}});
  file.set("tokenizer.ggml.merges", std::vector<std::string>{"b c", "a b", "b c"});
  EXPECT_EQ(file.tokenizer().encode("abc"), (Ids{'a', 257}));
}

TEST(ByteBpe, BytesWithoutATokenAreLeftOut) {
  test::TokenizerFile file;
  file.set("tokenizer.ggml.model", "gpt2");
  file.set("tokenizer.ggml.pre", "gpt-2");
  file.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab"});
  file.set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  EXPECT_EQ(file.tokenizer().encode("xabyb"), (Ids{2, 1}));
}

TEST(ByteBpe, EmptyAndDuplicateTokensAreHarmless) {
  test::TokenizerFile file = test::byte_level_file({{"a", "b"}}, {{""}, {""}, {"ab"}, {"a"}, {"", test::kControl}});
  const Tokenizer tokenizer = file.tokenizer();
  EXPECT_EQ(tokenizer.encode("aba", {.parse_special = true}), (Ids{256, 'a'}));
  EXPECT_EQ(tokenizer.decode(Ids{257, 259, 260, 261}, true), "aba");
}

TEST(ByteBpe, TextsOutsideTheAlphabetArePrintedAsTheyAre) {
  test::TokenizerFile file = test::byte_level_file({}, {{"two words"}, {"\xE2\x96\x81x"}});
  file.set("tokenizer.ggml.merges", std::vector<std::string>{"\xE2\x96\x81 x", "a \xE2\x96\x81"});
  const Tokenizer tokenizer = file.tokenizer();
  EXPECT_EQ(tokenizer.piece(256), "two words");
  EXPECT_EQ(tokenizer.piece(257), "\xE2\x96\x81x");
  EXPECT_EQ(tokenizer.encode("\xE2\x96\x81x"), (Ids{0xE2, 0x96, 0x81, 'x'}));
}

TEST(ByteBpe, AnyBytesSurvive) {
  std::mt19937 random(5);
  const test::TokenizerFile file = hello_file();
  for (const std::string_view rule : Tokenizer::pre_rules()) {
    const Tokenizer tokenizer = file.tokenizer(rule);
    for (int round = 0; round < 200; ++round) {
      std::string text(random() % 60, ' ');
      for (char& c : text) c = static_cast<char>(random() % 4 == 0 ? random() % 256 : 'a' + random() % 26);
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << rule;
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text, {.add_special = true, .parse_special = true})), text) << rule;
    }
  }
}

TEST(ByteBpe, OwnsWhatItNeeds) {
  std::optional<Tokenizer> tokenizer;
  {
    const test::TokenizerFile file = hello_file();
    tokenizer = file.tokenizer();
  }
  EXPECT_EQ(tokenizer->encode("hello wow"), (Ids{261, 260, 'o', 'w'}));
  EXPECT_EQ(tokenizer->pre_rule(), "gpt-2");
}

// ---- The choice of the rule ----

void pad_to(test::TokenizerFile& file, std::size_t n_tokens) {
  std::vector<std::string> texts;
  for (const test::TypedToken& token : test::byte_level_tokens()) texts.push_back(token.text);
  while (texts.size() < n_tokens) texts.push_back("pad" + std::to_string(texts.size()));
  file.set("tokenizer.ggml.tokens", texts);
  file.remove("tokenizer.ggml.token_type");
  file.remove("tokenizer.ggml.scores");
}

TEST(PreRuleChoice, MissingRuleOfBitnetWithLlama3sVocabularyIsLlama3) {
  for (const std::string_view architecture : {"bitnet-b1.58", "bitnet-25"}) {
    test::TokenizerFile file = test::byte_level_file({});
    pad_to(file, 128256);
    file.remove("tokenizer.ggml.pre");
    file.set("general.architecture", architecture);
    const Tokenizer tokenizer = file.tokenizer();
    EXPECT_EQ(tokenizer.pre_rule(), "llama3");
    ASSERT_EQ(tokenizer.notes().size(), 1u);
    EXPECT_NE(tokenizer.notes()[0].find("llama3"), std::string::npos);
    EXPECT_EQ(file.tokenizer("default").pre_rule(), "default");
    EXPECT_TRUE(file.tokenizer("default").notes().empty());
  }
}

TEST(PreRuleChoice, OtherMissingRules) {
  test::TokenizerFile file = test::byte_level_file({});
  file.remove("tokenizer.ggml.pre");
  EXPECT_EQ(file.tokenizer().pre_rule(), "default");
  EXPECT_EQ(file.tokenizer().notes().size(), 1u);
  file.set("general.architecture", "bitnet-b1.58");  // but 256 tokens
  EXPECT_EQ(file.tokenizer().pre_rule(), "default");
  file.set("general.architecture", "qwen3");
  EXPECT_EQ(file.tokenizer().pre_rule(), "qwen2");
  ASSERT_EQ(file.tokenizer().notes().size(), 1u);
  EXPECT_NE(file.tokenizer().notes()[0].find("qwen2"), std::string::npos);
}

TEST(PreRuleChoice, UnknownRulesAreRefusedWithTheKnownOnes) {
  test::TokenizerFile file = test::byte_level_file({});
  file.set("tokenizer.ggml.pre", "no-such-rule");
  for (const std::string_view part : {"memory.gguf", "no-such-rule", "llama-bpe", "default", "overrides"}) {
    test::expect_error(ErrorKind::kUnsupported, part, [&] { (void)file.tokenizer(); });
  }
  EXPECT_EQ(file.tokenizer("qwen2").pre_rule(), "qwen2");
  test::expect_error(ErrorKind::kInvalidArgument, "my-rule", [&] { (void)file.tokenizer("my-rule"); });
}

}  // namespace
}  // namespace tern
