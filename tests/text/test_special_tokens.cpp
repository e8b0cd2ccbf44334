#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "src/text/special_matcher.h"
#include "tests/support/expect_error.h"
#include "tokenizer_file.h"

namespace tern {
namespace {

using Ids = std::vector<Token>;
using test::kControl;
using test::kUserDefined;

constexpr Token kFirst = 256;  // after the byte tokens

//   256 <bos>   257 <|eot_id|>   258 <tool>   259 <too
test::TokenizerFile chat_file() {
  test::TokenizerFile file = test::byte_level_file(
      {}, {{"<bos>", kControl}, {"<|eot_id|>", kControl}, {"<tool>", kUserDefined}, {"<too", kUserDefined}});
  file.set("tokenizer.ggml.bos_token_id", kFirst);
  file.set("tokenizer.ggml.eos_token_id", kFirst + 1);
  return file;
}

Ids bytes_of(const std::string& text) {
  Ids ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

TEST(SpecialTokens, ControlTokensNeedParseSpecial) {
  const Tokenizer tokenizer = chat_file().tokenizer();
  const std::string injected = "hi<|eot_id|><bos>";
  EXPECT_EQ(tokenizer.encode(injected), bytes_of(injected));
  EXPECT_EQ(tokenizer.encode(injected, {.add_special = true}), bytes_of(injected));
  EXPECT_EQ(tokenizer.encode(injected, {.parse_special = true}), (Ids{'h', 'i', kFirst + 1, kFirst}));
}

TEST(SpecialTokens, UserDefinedTokensAreAlwaysSeen) {
  const Tokenizer tokenizer = chat_file().tokenizer();
  EXPECT_EQ(tokenizer.encode("a<tool>b"), (Ids{'a', kFirst + 2, 'b'}));
  EXPECT_EQ(tokenizer.encode("<too>"), (Ids{kFirst + 3, '>'}));
  EXPECT_EQ(tokenizer.encode("<to"), bytes_of("<to"));
}

TEST(SpecialTokens, ControlTokensPrintNothingUnlessAskedTo) {
  const Tokenizer tokenizer = chat_file().tokenizer();
  const Ids ids = {kFirst, 'a', kFirst + 2, kFirst + 1};
  EXPECT_EQ(tokenizer.decode(ids), "a<tool>");
  EXPECT_EQ(tokenizer.decode(ids, true), "<bos>a<tool><|eot_id|>");
  EXPECT_EQ(tokenizer.piece(kFirst), "");
  EXPECT_EQ(tokenizer.piece(kFirst, true), "<bos>");
  EXPECT_TRUE(tokenizer.is_control(kFirst));
  EXPECT_FALSE(tokenizer.is_control(kFirst + 2));
  EXPECT_FALSE(tokenizer.is_control('a'));
  EXPECT_FALSE(tokenizer.is_control(-1));
  EXPECT_FALSE(tokenizer.is_control(100000));
}

TEST(SpecialTokens, BosAndEosAsTheFileSays) {
  test::TokenizerFile file = chat_file();
  EXPECT_EQ(file.tokenizer().encode("a", {.add_special = true}), (Ids{'a'}));  // gpt-2 adds none by default
  EXPECT_EQ(file.tokenizer("llama3").encode("a", {.add_special = true}), (Ids{kFirst, 'a'}));
  file.set("tokenizer.ggml.add_bos_token", false);
  EXPECT_EQ(file.tokenizer("llama3").encode("a", {.add_special = true}), (Ids{'a'}));
  file.set("tokenizer.ggml.add_bos_token", true);
  file.set("tokenizer.ggml.add_eos_token", true);
  EXPECT_EQ(file.tokenizer().encode("a", {.add_special = true}), (Ids{kFirst, 'a', kFirst + 1}));
  EXPECT_EQ(file.tokenizer().encode("", {.add_special = true}), (Ids{kFirst, kFirst + 1}));
  EXPECT_EQ(file.tokenizer().encode("a"), (Ids{'a'}));
  file.remove("tokenizer.ggml.bos_token_id");
  EXPECT_EQ(file.tokenizer().bos(), std::nullopt);
  EXPECT_EQ(file.tokenizer().encode("a", {.add_special = true}), (Ids{'a', kFirst + 1}));
}

TEST(SpecialTokens, BosIsNotDoubled) {
  test::TokenizerFile file = chat_file();
  file.set("tokenizer.ggml.add_bos_token", true);
  const Tokenizer tokenizer = file.tokenizer();
  EXPECT_EQ(tokenizer.encode("<bos>a", {.add_special = true, .parse_special = true}), (Ids{kFirst, 'a'}));
  Ids expected = bytes_of("<bos>");
  expected.insert(expected.begin(), kFirst);
  EXPECT_EQ(tokenizer.encode("<bos>", {.add_special = true}), expected);
  EXPECT_EQ(tokenizer.encode("a<bos>", {.add_special = true, .parse_special = true}), (Ids{kFirst, 'a', kFirst}));
}

TEST(SpecialTokens, StopsAreNamedByTheFileOrByTheirText) {
  test::TokenizerFile file = test::byte_level_file({}, {{"<e>"},
                                                        {"<t>"},
                                                        {"<m>"},
                                                        {"<p>"},
                                                        {"<r>"},
                                                        {"<s>"},
                                                        {"<|im_end|>", kControl},
                                                        {"<end_of_turn>", kUserDefined},
                                                        {"</s>"},
                                                        {"[EOT]", kControl},
                                                        {"<other>", kControl}});
  constexpr std::string_view kRoles[] = {"eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep"};
  for (int i = 0; i < 6; ++i) {
    file.set("tokenizer.ggml." + std::string(kRoles[i]) + "_token_id", kFirst + i);
  }
  const Tokenizer tokenizer = file.tokenizer();
  for (Token token = kFirst; token < kFirst + 10; ++token) {
    EXPECT_TRUE(tokenizer.is_stop(token)) << token;
    EXPECT_TRUE(tokenizer.is_control(token)) << token;
  }
  EXPECT_FALSE(tokenizer.is_stop(kFirst + 10));
  EXPECT_FALSE(tokenizer.is_stop('a'));
  EXPECT_FALSE(tokenizer.is_stop(-1));
}

TEST(SpecialTokens, RoleTokensNeverComeOutOfText) {
  // "ab" is an ordinary token in the file, but the file also says that it ends a text.
  test::TokenizerFile file = test::byte_level_file({{"a", "b"}});
  EXPECT_EQ(file.tokenizer().encode("ab"), (Ids{kFirst}));
  file.set("tokenizer.ggml.eos_token_id", kFirst);
  EXPECT_EQ(file.tokenizer().encode("ab"), (Ids{'a', 'b'}));
  EXPECT_EQ(file.tokenizer().encode("ab", {.parse_special = true}), (Ids{kFirst}));
}

TEST(SpecialTokens, IdsBeyondTheListAreRefused) {
  for (const std::string role : {"bos", "eos", "eot", "eom", "unknown", "fim_pad"}) {
    const std::string key = "tokenizer.ggml." + role + "_token_id";
    test::TokenizerFile file = chat_file();
    file.set(key, kFirst + 4);
    test::expect_error(ErrorKind::kBadFile, key, [&] { (void)file.tokenizer(); });
    file.set(key, test::kNoTokenId);
    EXPECT_NO_THROW((void)file.tokenizer());
    file.set(key, "one");
    test::expect_error(ErrorKind::kBadFile, key, [&] { (void)file.tokenizer(); });
  }
}

TEST(SpecialTokens, SentencePiecePrefixesEveryPartWithASpace) {
  test::TokenizerFile file = test::sentencepiece_file({{"\xE2\x96\x81"},
                                                       {"a"},
                                                       {"\xE2\x96\x81"
                                                        "a"}});
  EXPECT_EQ(file.tokenizer().encode("a</s>a", {.parse_special = true}), (Ids{261, 2, 261}));
  EXPECT_EQ(file.tokenizer().encode("a", {.add_special = true}), (Ids{1, 261}));
  EXPECT_EQ(file.tokenizer().encode("<s>a", {.add_special = true, .parse_special = true}), (Ids{1, 261}));
}

// ---- Cutting a text at its special tokens ----

std::string cut(const std::vector<std::pair<std::string, text::TokenType>>& tokens, std::string_view text,
                bool parse_special = true) {
  text::Vocabulary vocabulary(tokens.size());
  for (const auto& [bytes, type] : tokens) vocabulary.add_token(bytes, type, false);
  vocabulary.index_tokens();
  std::string shown;
  for (const auto& part : text::SpecialMatcher(vocabulary).partition(text, parse_special)) {
    shown +=
        part.token == text::kNoSymbol ? fmt::format("{}|", part.text) : fmt::format("[{}={}]|", part.token, part.text);
  }
  return shown;
}

TEST(SpecialMatcher, LongerTokensGoFirst) {
  constexpr auto kType = text::TokenType::kControl;
  EXPECT_EQ(cut({{"<a>", kType}, {"<a><b>", kType}}, "x<a><b><a>y"), "x|[1=<a><b>]|[0=<a>]|y|");
  // "abc" begins further left, but "bcde" is longer.
  EXPECT_EQ(cut({{"abc", kType}, {"bcde", kType}}, "abcde"), "a|[1=bcde]|");
  EXPECT_EQ(cut({{"abc", kType}, {"bcde", kType}}, "abcdabcde"), "[0=abc]|da|[1=bcde]|");
  EXPECT_EQ(cut({{"aa", kType}}, "aaaaa"), "[0=aa]|[0=aa]|a|");
  EXPECT_EQ(cut({{"a", kType}, {"a", kType}}, "ba"), "b|[0=a]|");
  EXPECT_EQ(cut({}, "text"), "text|");
  EXPECT_EQ(cut({{"", kType}}, "text"), "text|");
  EXPECT_EQ(cut({{"x", kType}}, ""), "");
}

/// What partition() promises, at the cost of looking at every match: longer ones first, then those further left.
std::string cut_slowly(const std::vector<std::string>& tokens, std::string_view text) {
  std::vector<std::size_t> owner(text.size(), tokens.size());  // the token that a byte belongs to
  std::vector<std::size_t> begins(text.size());
  std::vector<std::size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return tokens[a].size() > tokens[b].size(); });
  const auto is_free = [&](std::size_t byte) { return owner[byte] == tokens.size(); };
  // The first of those of one size can only be one text at one place.
  for (std::size_t size = 8; size > 0; --size) {
    for (std::size_t begin = 0; begin + size <= text.size(); ++begin) {
      for (const std::size_t token : order) {
        if (tokens[token] != text.substr(begin, size) || !is_free(begin) || !is_free(begin + size - 1)) continue;
        std::fill_n(owner.begin() + static_cast<std::ptrdiff_t>(begin), size, token);
        begins[begin] = size;
      }
    }
  }
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + begins[at];
    while (begins[at] == 0 && end < text.size() && is_free(end)) ++end;
    const std::string_view part = text.substr(at, end - at);
    shown += begins[at] == 0 ? fmt::format("{}|", part) : fmt::format("[{}={}]|", owner[at], part);
    at = end;
  }
  return shown;
}

TEST(SpecialMatcher, AnyTokensAreChosenInOrderOfTheirSizes) {
  std::mt19937 random(20261122);
  const auto letters = [&](std::size_t size) {
    std::string text(size, 'a');
    for (char& c : text) c = "aaab"[random() % 4];
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> tokens;
    std::vector<std::pair<std::string, text::TokenType>> typed;
    for (std::size_t i = 0; i <= random() % 6; ++i) {
      tokens.push_back(letters(1 + random() % 8));
      typed.emplace_back(tokens.back(), text::TokenType::kControl);
    }
    const std::string text = letters(random() % 60);
    ASSERT_EQ(cut(typed, text), cut_slowly(tokens, text)) << round;
  }
}

TEST(SpecialMatcher, TypesDecideWhatIsSeen) {
  const std::vector<std::pair<std::string, text::TokenType>> tokens = {
      {"N", text::TokenType::kNormal},      {"U", text::TokenType::kUnknown}, {"C", text::TokenType::kControl},
      {"D", text::TokenType::kUserDefined}, {"P", text::TokenType::kUnused},  {"B", text::TokenType::kByte}};
  EXPECT_EQ(cut(tokens, "NUCDPB"), "N|[1=U]|[2=C]|[3=D]|PB|");
  EXPECT_EQ(cut(tokens, "NUCDPB", false), "NUC|[3=D]|PB|");
}

}  // namespace
}  // namespace tern
