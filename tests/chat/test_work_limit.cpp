// Work that a template asks for is counted wherever it is done.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "src/chat/interpreter.h"
#include "src/chat/operations.h"
#include "src/chat/parser.h"
#include "src/chat/text_search.h"
#include "tests/support/expect_error.h"

namespace tern::chat {
namespace {

constexpr std::size_t kLeft = 20'000;   // steps
constexpr std::size_t kLong = 300'000;  // characters or elements
constexpr std::size_t kMany = 2'000;    // parameters, arguments, names

std::string names(const char* pattern) {
  std::string list;
  for (std::size_t i = 0; i < kMany; ++i) list += fmt::format(fmt::runtime(pattern), i);
  list.pop_back();
  return list;
}

/// Long values, made beforehand, so that a template can do nothing long but what is tested.
class ChatWork : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    chat::Run run{std::tm{}};
    const Text letters(kLong, U'a');
    Text path = from_ascii("0");
    for (std::size_t i = 0; i < kMany; ++i) path += from_ascii(".0");
    set("letters", run.text(letters));
    set("late", run.text(letters + U'b'));
    set("spaces", run.text(Text(kLong, U' ')));
    set("texts", run.list(std::vector<Value>(kLong, run.text(TextView()))));
    set("path", run.text(path));
    set("tuple", run.list(std::vector<Value>(kMany, std::int64_t{1}), ListKind::kTuple));
    std::vector<Dict::Entry> entries;
    for (std::size_t i = 0; i < kMany; ++i) {
      entries.emplace_back(run.text(std::to_string(i)), std::int64_t{1});
    }
    set("dict", run.dict(std::move(entries)));
  }
  static void TearDownTestSuite() { globals().reset(); }

  /// Renders with few steps left, so that a test ends at once.
  static void expect_counted(const std::string& source, std::string_view what = "steps") {
    SCOPED_TRACE(source.substr(0, 200));
    const Statements statements = parse(source);
    chat::Run run{std::tm{}};
    if (what == "steps") run.step(kMaxSteps - kLeft);
    test::expect_error(ErrorKind::kUnsupported, what,
                       [&] { static_cast<void>(Interpreter(run).render(statements, globals())); });
  }
  /// Uncounted, a hundred times the statement would be a few thousand steps.
  static void expect_each_counted(const std::string& statement) {
    expect_counted("{% for i in range(100) %}" + statement + "{% endfor %}");
  }

 private:
  static std::shared_ptr<Scope>& globals() {
    static auto scope = std::make_shared<Scope>(nullptr);
    return scope;
  }
  static void set(const std::string& name, Value value) { globals()->variables[name] = std::move(value); }
};

TEST_F(ChatWork, OfExpressions) {
  for (const char* expression : {
           "letters.partition(late)",
           "late.partition(letters)",
           "letters.rpartition('b' ~ letters[1:])",
           "letters.find('b')",
           "letters.count('b')",
           "letters.startswith((late,))",
           "letters.endswith((late, late))",
           "letters.isalpha()",
           "spaces.isspace()",
           "spaces.strip()",
           "'bb'.strip(letters)",
           "('a' * 60).strip('b' * 1000 ~ 'a')",
           "spaces.split()",
           "spaces.rsplit()",
           "'b' in letters",
           "letters == late",
           "letters < late",
           "letters is upper",
           "letters is lower",
           "letters is filter",
           "letters is test",
           "letters|int",
           "letters|float(1)",
           "letters[letters]",
           "{}[letters]",
           "1|attr(letters)",
           "''.join(texts)",
           "texts|select|first",
           "texts|first",
           "['a']|map(attribute=path)|first",
           "[{}]|map(attribute=letters)|first",
           "namespace(dict)",
           "strftime_now('%d' * 128)",
       }) {
    expect_each_counted(std::string("{% if ") + expression + " %}{% endif %}");
  }
}

TEST_F(ChatWork, OfStatements) {
  expect_each_counted("{% for x in texts %}{% break %}{% endfor %}");
  expect_each_counted("{% for " + names("a{},") + " in [tuple] %}{% endfor %}");
  expect_counted("{% macro m(" + names("a{},") + ") %}{% endmacro %}{% for i in range(100) %}{{ m() }}{% endfor %}");
  expect_counted("{% macro m(" + names("a{},") + ") %}{% endmacro %}{{ m(" + names("a{}=1,") + ") }}");
  expect_counted("{% set l = [[]] * 100 %}{{ l|map('map', 'upper', " + names("1,") + ")|list }}");
}

TEST_F(ChatWork, OfCopies) {
  for (const char* expression :
       {"1|tojson(indent=letters)", "1|tojson(separators=(letters, letters))", "''|indent(letters)"}) {
    expect_counted(std::string("{% for i in range(300) %}{% if ") + expression + " %}{% endif %}{% endfor %}",
                   "characters");
  }
}

TEST(ChatHostile, LongNamesAreRefused) {
  EXPECT_NO_THROW(static_cast<void>(parse("{{ " + std::string(kMaxName, 'a') + " }}")));
  test::expect_error(ErrorKind::kUnsupported, "line 2: expected names of at most 256 characters, found 257",
                     [] { static_cast<void>(parse("\n{{ " + std::string(kMaxName + 1, 'a') + " }}")); });
}

/// Against std::string's own search, over texts of few letters, which match in part most of the time.
TEST(TextSearch, FindsWhatTheStandardLibraryFinds) {
  chat::Run run{std::tm{}};
  constexpr std::size_t kSize = 8;
  for (unsigned bits = 0; bits < 1u << kSize; ++bits) {
    Text text;
    for (std::size_t i = 0; i < kSize; ++i) text += (bits >> i & 1u) == 0 ? U'a' : U'b' | kUserBit;
    for (std::size_t size = 0; size <= 5; ++size) {
      for (unsigned letters = 0; letters < 1u << size; ++letters) {
        Text wanted;
        for (std::size_t i = 0; i < size; ++i) wanted += (letters >> i & 1u) == 0 ? U'a' : U'b';
        const TextSearch right(run, text, wanted, TextSearch::From::kRight);
        ASSERT_EQ(TextSearch(run, text, wanted).find(text), text.find(wanted)) << bits << ' ' << letters;
        ASSERT_EQ(right.find(text), text.rfind(wanted)) << bits << ' ' << letters;
      }
    }
  }
}

}  // namespace
}  // namespace tern::chat
