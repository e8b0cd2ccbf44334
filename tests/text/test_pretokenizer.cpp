#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "src/text/pre_rules.h"
#include "src/text/pretokenizer.h"

namespace tern::text {
namespace {

using Words = std::vector<std::string>;

Words split(const Pretokenizer& pretokenizer, std::string_view text) {
  Words words;
  for (const std::string_view word : pretokenizer.split(text)) words.emplace_back(word);
  return words;
}

Words split(std::string_view rule, std::string_view text) {
  return split(Pretokenizer(find_pre_rule(rule)->patterns), text);
}

struct Case {
  std::string_view rule;
  std::string text;
  Words words;
};

const Case kCases[] = {
    {"gpt-2", "", {}},
    {"gpt-2", "Hello world", {"Hello", " world"}},
    {"gpt-2", "I'll don't we'd WE'LL", {"I", "'ll", " don", "'t", " we", "'d", " WE", "'", "LL"}},
    {"gpt-2", "a   b", {"a", "  ", " b"}},
    {"gpt-2", "a \n b", {"a", " \n", " b"}},
    {"gpt-2", "x  ", {"x", "  "}},
    {"gpt-2", "in 2024, ok", {"in", " 2024", ",", " ok"}},
    {"gpt-2", "a...\n\nb", {"a", "...", "\n", "\n", "b"}},
    {"gpt-2", "\xC3\xA9t\xC3\xA9 \xE6\xBC\xA2\xE5\xAD\x97", {"\xC3\xA9t\xC3\xA9", " \xE6\xBC\xA2\xE5\xAD\x97"}},
    {"llama3", "Hello world", {"Hello", " world"}},
    {"llama3", "WE'LL it'S", {"WE", "'LL", " it", "'S"}},
    {"llama3", "'\xC5\xBF", {"'\xC5\xBF"}},  // U+017F is no s, but a letter after some character
    {"llama3", "1234567", {"123", "456", "7"}},
    {"llama3", " 1234", {" ", "123", "4"}},
    {"llama3", "a.b!c", {"a", ".b", "!c"}},
    {"llama3", "end...\n\nNext", {"end", "...\n\n", "Next"}},
    {"llama3", "a \n \n  b", {"a", " \n \n", " ", " b"}},
    {"llama3", "\t\tx", {"\t", "\tx"}},
    {"llama3", "a\r\nb", {"a", "\r\n", "b"}},
    {"llama3", " (x) ", {" (", "x", ")", " "}},
    {"llama3", "\xC2\xBD\xD9\xA3", {"\xC2\xBD\xD9\xA3"}},  // a fraction and an Arabic digit are \p{N}
    {"llama3", "e\xCC\x81", {"e", "\xCC\x81"}},            // a combining mark is no letter
    {"llama3",
     "a\xE1\xA0\x8E"
     "b",
     {"a",
      "\xE1\xA0\x8E"
      "b"}},  // U+180E is no space
    {"llama3",
     "a\xC2\xA0\xC2\xA0"
     "b",
     {"a", "\xC2\xA0",
      "\xC2\xA0"
      "b"}},
    {"qwen2", "1234567", {"1", "2", "3", "4", "5", "6", "7"}},
    {"qwen2", "a 12", {"a", " ", "1", "2"}},
    {"falcon", "a,b", {"a", ",", "b"}},
    {"falcon", "x=12345", {"x", "=", "123", "45"}},
    {"falcon", " 12345 12", {" ", "123", "45", " 12"}},
    {"falcon", "don't", {"don", "'", "t"}},
    {"falcon", "a`b", {"a", "`", "b"}},
    {"falcon", "a (b)", {"a", " ", "(", "b", ")"}},
    {"default", "x=12345", {"x", "=", "123", "45"}},
    {"default", " 12345 12", {" ", "123", "45", " ", "12"}},
    {"default", "a`b", {"a", "`", "b"}},
    {"default", "a (b)", {"a", " ", "(", "b", ")"}},
    {"default", "don't", {"don", "'", "t"}},
};

TEST(Pretokenizer, SplitsByHandWrittenTable) {
  for (const Case& c : kCases) EXPECT_EQ(split(c.rule, c.text), c.words) << c.rule << ": " << c.text;
}

TEST(Pretokenizer, InvalidBytesAreCharactersOfTheirOwnKind) {
  EXPECT_EQ(split("llama3",
                  "a\xFF\xFE"
                  "bc \xE2\x96"),
            (Words{"a", "\xFF\xFE", "bc", " \xE2\x96"}));
  EXPECT_EQ(split("gpt-2",
                  "12\x80"
                  "34"),
            (Words{"12", "\x80", "34"}));
  EXPECT_EQ(split("default", ".\xF0\x9F"), (Words{".", "\xF0\x9F"}));
}

// ---- The rules as machines that look at one character after the other, written without regular expressions ----

enum class Class { kLetter, kNumber, kSpace, kOther };

struct Character {
  std::string bytes;
  Class kind;
};

const Character kAlphabet[] = {
    {"a", Class::kLetter},
    {"s", Class::kLetter},
    {"T", Class::kLetter},
    {"r", Class::kLetter},
    {"e", Class::kLetter},
    {"V", Class::kLetter},
    {"l", Class::kLetter},
    {"L", Class::kLetter},
    {"\xC5\xBF", Class::kLetter},
    {"\xD0\xB6", Class::kLetter},
    {"\xE6\xBC\xA2", Class::kLetter},
    {"0", Class::kNumber},
    {"7", Class::kNumber},
    {"\xC2\xBD", Class::kNumber},
    {"\xE2\x85\xA7", Class::kNumber},
    {" ", Class::kSpace},
    {" ", Class::kSpace},
    {"\t", Class::kSpace},
    {"\n", Class::kSpace},
    {"\r", Class::kSpace},
    {"\xC2\x85", Class::kSpace},
    {"\xC2\xA0", Class::kSpace},
    {"\xE3\x80\x80", Class::kSpace},
    {"'", Class::kOther},
    {"'", Class::kOther},
    {"!", Class::kOther},
    {"$", Class::kOther},
    {"\xCC\x81", Class::kOther},
    {"\xE1\xA0\x8E", Class::kOther},
    {"\xF0\x9F\x8E\x89", Class::kOther},
    {"\xE2\x80\x8B", Class::kOther},
    {std::string(1, '\0'), Class::kOther},
    {"\xFF", Class::kOther},
};

using Text = std::vector<Character>;

/// Walks over a text and says how many characters the word at a position has.
class Machine {
 public:
  Machine(const Text& text, bool is_gpt2, std::size_t max_digits)
      : text_(text), is_gpt2_(is_gpt2), max_digits_(max_digits) {}

  [[nodiscard]] std::size_t word_length(std::size_t p) const {
    if (const std::size_t n = contraction(p)) return n;
    if (const std::size_t n = is_gpt2_ ? gpt2_run(p) : llama3_run(p)) return n;
    std::size_t n = 0;
    std::size_t after_line_end = 0;
    for (; is(p + n, Class::kSpace); ++n) {
      if (is_line_end(p + n)) after_line_end = n + 1;
    }
    if (!is_gpt2_ && after_line_end > 0) return after_line_end;
    if (n > 1 && p + n < text_.size()) return n - 1;
    return n;
  }

 private:
  [[nodiscard]] bool is(std::size_t i, Class kind) const { return i < text_.size() && text_[i].kind == kind; }
  [[nodiscard]] bool is_line_end(std::size_t i) const {
    return i < text_.size() && (text_[i].bytes == "\n" || text_[i].bytes == "\r");
  }
  [[nodiscard]] std::size_t run(std::size_t i, Class kind, std::size_t max = ~std::size_t{0}) const {
    std::size_t n = 0;
    while (n < max && is(i + n, kind)) ++n;
    return n;
  }
  [[nodiscard]] std::size_t contraction(std::size_t p) const {
    if (text_[p].bytes != "'") return 0;
    for (const std::string_view tail : {"s", "t", "m", "d", "re", "ve", "ll"}) {
      std::size_t n = 0;
      while (n < tail.size() && p + 1 + n < text_.size() && letter(p + 1 + n) == tail[n]) ++n;
      if (n == tail.size()) return 1 + n;
    }
    return 0;
  }
  [[nodiscard]] char letter(std::size_t i) const {
    const char c = text_[i].bytes.size() == 1 ? text_[i].bytes[0] : '?';
    return !is_gpt2_ && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  [[nodiscard]] std::size_t gpt2_run(std::size_t p) const {
    const std::size_t space = text_[p].bytes == " " ? 1 : 0;
    for (const Class kind : {Class::kLetter, Class::kNumber, Class::kOther}) {
      if (const std::size_t n = run(p + space, kind)) return space + n;
    }
    return 0;
  }
  [[nodiscard]] std::size_t llama3_run(std::size_t p) const {
    if (is(p, Class::kLetter)) return run(p, Class::kLetter);
    if (!is_line_end(p) && !is(p, Class::kNumber) && is(p + 1, Class::kLetter)) return 1 + run(p + 1, Class::kLetter);
    if (is(p, Class::kNumber)) return run(p, Class::kNumber, max_digits_);
    const std::size_t space = text_[p].bytes == " " ? 1 : 0;
    std::size_t n = run(p + space, Class::kOther);
    if (n == 0) return 0;
    n += space;
    while (is_line_end(p + n)) ++n;
    return n;
  }

  const Text& text_;
  bool is_gpt2_;
  std::size_t max_digits_;
};

Words split_by_machine(const Text& text, bool is_gpt2, std::size_t max_digits) {
  const Machine machine(text, is_gpt2, max_digits);
  Words words;
  for (std::size_t p = 0; p < text.size();) {
    const std::size_t n = machine.word_length(p);
    std::string word;
    for (std::size_t i = p; i < p + n; ++i) word += text[i].bytes;
    words.push_back(word);
    p += n;
  }
  return words;
}

TEST(Pretokenizer, PatternsEqualTheirMachines) {
  const Pretokenizer gpt2(find_pre_rule("gpt-2")->patterns);
  const Pretokenizer llama3(find_pre_rule("llama3")->patterns);
  const Pretokenizer qwen2(find_pre_rule("qwen2")->patterns);
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    Text text(random() % 12 + 1);
    std::string bytes;
    for (Character& c : text) {
      c = kAlphabet[random() % std::size(kAlphabet)];
      bytes += c.bytes;
    }
    ASSERT_EQ(split(gpt2, bytes), split_by_machine(text, true, 0)) << testing::PrintToString(bytes);
    ASSERT_EQ(split(llama3, bytes), split_by_machine(text, false, 3)) << testing::PrintToString(bytes);
    ASSERT_EQ(split(qwen2, bytes), split_by_machine(text, false, 1)) << testing::PrintToString(bytes);
  }
}

TEST(Pretokenizer, EveryNameHasARuleThatCoversItsText) {
  std::string text;
  for (const Character& c : kAlphabet) text += c.bytes + "a " + c.bytes;
  ASSERT_GE(pre_rule_names().size(), 15u);
  for (const std::string_view name : pre_rule_names()) {
    ASSERT_NE(find_pre_rule(name), nullptr) << name;
    std::string joined;
    for (const std::string& word : split(name, text)) {
      EXPECT_FALSE(word.empty());
      joined += word;
    }
    EXPECT_EQ(joined, text) << name;
  }
  EXPECT_EQ(find_pre_rule("no-such-rule"), nullptr);
  EXPECT_EQ(find_pre_rule(""), nullptr);
}

TEST(Pretokenizer, NamesOfAFamilyShareARule) {
  for (const std::string_view name : {"llama-v3", "llama-bpe", "falcon3", "falcon-h1", "falcon_e", "pixtral"}) {
    EXPECT_EQ(find_pre_rule(name), find_pre_rule("llama3")) << name;
  }
  EXPECT_EQ(find_pre_rule("deepseek-r1-qwen"), find_pre_rule("qwen2"));
  EXPECT_EQ(find_pre_rule("phi-2"), find_pre_rule("gpt-2"));
  EXPECT_NE(find_pre_rule("falcon"), find_pre_rule("falcon3"));
  EXPECT_TRUE(find_pre_rule("llama3")->ignore_merges);
  EXPECT_TRUE(find_pre_rule("llama3")->adds_bos);
  EXPECT_FALSE(find_pre_rule("qwen2")->ignore_merges);
  EXPECT_FALSE(find_pre_rule("gpt-2")->adds_bos);
}

}  // namespace
}  // namespace tern::text
