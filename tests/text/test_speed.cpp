// Texts of 1 MiB that could take quadratic time. The limits are far above what they take, and far below that.
#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "tokenizer_file.h"

namespace tern {
namespace {

constexpr std::size_t kSize = std::size_t{1} << 20;  // bytes
constexpr double kMaxSeconds = 2;

/// Of this process's work, so that a busy machine does not fail the tests.
double seconds_since(std::clock_t begin) { return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC; }

std::string repeat(std::string_view part) {
  std::string text;
  while (text.size() < kSize) text += part;
  return text;
}

std::string random_letters(bool with_spaces) {
  std::mt19937 random(2);
  std::string text(kSize, ' ');
  for (char& c : text) {
    if (!with_spaces || random() % 6 != 0) c = static_cast<char>('a' + random() % 26);
  }
  return text;
}

/// Merges that double runs, and pairs of letters.
std::vector<std::pair<std::string, std::string>> merges() {
  std::vector<std::pair<std::string, std::string>> list;
  for (const char c : {'a', ' ', '\n', '0', '!'}) {
    for (std::size_t n = 1; n <= 64; n *= 2) list.emplace_back(std::string(n, c), std::string(n, c));
  }
  for (char left = 'a'; left <= 'z'; ++left) {
    for (char right = 'b'; right <= 'z'; ++right) list.emplace_back(std::string(1, left), std::string(1, right));
  }
  return list;
}

test::TokenizerFile sentencepiece_of(const std::vector<std::pair<std::string, std::string>>& list) {
  std::vector<test::TypedToken> tokens;
  const auto marked = [](std::string_view text) {
    std::string result;
    for (const char c : text) result += c == ' ' ? "\xE2\x96\x81" : std::string(1, c);
    return result;
  };
  for (char c = ' '; c <= 'z'; ++c) tokens.push_back({marked(std::string(1, c)), test::kNormal, -1000});
  for (const auto& [left, right] : list) {
    tokens.push_back({marked(left + right), test::kNormal, -static_cast<float>(tokens.size())});
  }
  tokens.push_back({"a\xE2\x96\x81", test::kNormal, -999});  // so that texts cannot be cut at their spaces
  return test::sentencepiece_file(tokens);
}

void expect_fast(const Tokenizer& tokenizer) {
  const std::pair<std::string, std::string> texts[] = {{"words", random_letters(true)},
                                                       {"one word of random letters", random_letters(false)},
                                                       {"one word of a", repeat("a")},
                                                       {"spaces", repeat(" ")},
                                                       {"spaces then x", repeat(" ") + "x"},
                                                       {"lines", repeat("\n")},
                                                       {"lines of spaces", repeat("\n  ")},
                                                       {"digits", repeat("0")},
                                                       {"punctuation", repeat("!")},
                                                       {"apostrophes", repeat("'s")},
                                                       {"halves of special tokens", repeat("<|")},
                                                       {"letters of three bytes", repeat("\xE6\xBC\xA2")},
                                                       {"bytes that are no text", repeat("\xFF\x80")}};
  for (const auto& [name, text] : texts) {
    const auto begin = std::clock();
    const std::vector<Token> tokens = tokenizer.encode(text, {.parse_special = true});
    const double seconds = seconds_since(begin);
    EXPECT_LT(seconds, kMaxSeconds) << tokenizer.kind() << " " << tokenizer.pre_rule() << ": " << name;
    EXPECT_EQ(tokenizer.decode(tokens), text) << name;
  }
}

TEST(Speed, ByteLevelTextsOfOneMebibyte) {
  test::TokenizerFile file = test::byte_level_file(merges(), {{"<|eot_id|>", test::kControl}});
  for (const std::string_view rule : {"gpt-2", "llama3", "qwen2", "falcon", "default"})
    expect_fast(file.tokenizer(rule));
}

TEST(Speed, SentencePieceTextsOfOneMebibyte) {
  test::TokenizerFile file = sentencepiece_of(merges());
  expect_fast(file.tokenizer());
}

TEST(Speed, SpecialTokensThatEndEverywhere) {
  std::vector<test::TypedToken> tokens;
  for (std::size_t size = 1; size <= 256; ++size) tokens.push_back({std::string(size, 'a'), test::kUserDefined});
  const Tokenizer tokenizer = test::byte_level_file({}, tokens).tokenizer();
  const std::string text(40000, 'a');
  const auto begin = std::clock();
  EXPECT_EQ(tokenizer.encode(text).size(), 157u);
  EXPECT_LT(seconds_since(begin), kMaxSeconds);
}

TEST(Speed, LoadsALargeVocabulary) {
  // As large as Llama 3's: 128k tokens, 280k merges.
  std::mt19937 random(4);
  std::vector<test::TypedToken> tokens = test::byte_level_tokens();
  std::vector<std::string> list;
  while (tokens.size() < 128000) {
    const std::string left = tokens[random() % tokens.size()].text;
    const std::string right = tokens[random() % tokens.size()].text;
    if (left.size() + right.size() > 14) continue;
    tokens.push_back({left + right});
    list.push_back(left + " " + right);
  }
  while (list.size() < 280000) {
    list.push_back(tokens[random() % tokens.size()].text + " " + tokens[random() % tokens.size()].text);
  }
  test::TokenizerFile file = test::byte_level_file({});
  test::set_tokens(file, tokens);
  file.set("tokenizer.ggml.merges", list);
  const format::Metadata metadata = file.metadata();
  const auto begin = std::clock();
  const Tokenizer tokenizer = text::make_tokenizer(metadata, {});
  EXPECT_LT(seconds_since(begin), 1.0);  // measured: less than a tenth of that
  EXPECT_EQ(tokenizer.vocab_size(), 128000u);
}

}  // namespace
}  // namespace tern
