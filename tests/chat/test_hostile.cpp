// Templates that are broken, or ask for more than there is.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>

#include "consume_template.h"
#include "src/chat/limits.h"
#include "tests/support/expect_error.h"

namespace tern {
namespace {

using test::expect_error;

std::string repeat(std::string_view text, std::size_t n) {
  std::string result;
  for (std::size_t i = 0; i < n; ++i) result += text;
  return result;
}

void expect_refused(ErrorKind kind, std::string_view part, const std::string& source) {
  SCOPED_TRACE(source.substr(0, 200));
  expect_error(kind, part, [&] {
    const std::vector<ChatMessage> messages = {{"user", "hi"}};
    static_cast<void>(ChatTemplate::compile(source).render(messages));
  });
}

TEST(ChatHostile, MessagesNameLineExpectedAndFound) {
  expect_refused(ErrorKind::kBadFile, "chat template, line 3: expected '}}', found 'b'", "a\n\n{{ a b }}");
  expect_refused(ErrorKind::kBadFile, "line 2: expected 'endif', found the end of the template", "{% if a %}\nx");
  expect_refused(ErrorKind::kUnsupported, "line 2: expected a statement that tern has, found 'import'",
                 "\n{% import 'x' %}");
  expect_refused(ErrorKind::kUnsupported, "expected a filter that tern has, found 'groupby'", "{{ [1]|groupby('x') }}");
  expect_refused(ErrorKind::kUnsupported, "expected a test that tern has, found 'escaped'", "{{ 1 is escaped }}");
  expect_refused(ErrorKind::kUnsupported, "expected a function that tern has, found 'lipsum'", "{{ lipsum() }}");
  expect_refused(ErrorKind::kBadFile, "expected a value that has 'b', found 'a', which is not defined", "{{ a.b }}");
  expect_refused(ErrorKind::kInvalidArgument, "the template refuses these messages: roles must\\x0aalternate",
                 "{{ raise_exception('roles must\\nalternate') }}");
  expect_refused(ErrorKind::kBadFile, "trim: expected at most 1 arguments, found 2", "{{ 'a'|trim('b', 'c') }}");
  expect_refused(ErrorKind::kBadFile, "replace: expected an argument 'new', found none", "{{ 'a'|replace('b') }}");
  expect_refused(ErrorKind::kUnsupported, "integers of at most 64 bits", "{{ 9223372036854775807 + 1 }}");
  expect_refused(ErrorKind::kUnsupported, "a number of 64 bits", "{{ 9223372036854775808 }}");
  expect_refused(ErrorKind::kUnsupported, "can be printed, found a generator", "{{ [1]|map('string') }}");
}

TEST(ChatHostile, UnusedBranchesMayAskForMore) {
  EXPECT_EQ(ChatTemplate::compile("{% if false %}{{ x|from_json }}{{ f(1) is odder }}{% endif %}a").render({}), "a");
}

TEST(ChatHostile, DeepTemplatesAreRefused) {
  constexpr std::size_t kDeep = 50'000;
  const std::pair<const char*, const char*> kBrackets[] = {{"(", ")"},   {"[", "]"},  {"{1:", "}"},
                                                           {"a[", "]"},  {"f(", ")"}, {"1|f(", ")"},
                                                           {"not ", ""}, {"-", ""},   {"1 if 1 else ", ""}};
  for (const auto& [open, close] : kBrackets) {
    const std::string source = "{{ " + repeat(open, kDeep) + "1" + repeat(close, kDeep) + " }}";
    expect_refused(ErrorKind::kUnsupported, "levels within each other", source);
  }
  for (const std::string open : {"{% if a %}", "{% for a in b %}", "{% set a %}", "{% macro a() %}"}) {
    expect_refused(ErrorKind::kUnsupported, "levels within each other", repeat(open, 10'000));
  }
}

TEST(ChatHostile, LongTemplatesAreNotDeep) {
  constexpr std::size_t kLong = 10'000;
  const auto render = [](const std::string& source) { return ChatTemplate::compile(source).render({}).size(); };
  EXPECT_EQ(render("{{ 1" + repeat(" + 1", kLong) + " }}"), 5u);
  EXPECT_EQ(render("{{ 'a'" + repeat("|upper", kLong) + " }}"), 1u);
  EXPECT_EQ(render("{{ ''" + repeat(" ~ 'x'", kLong / 10) + " }}"), kLong / 10);
  EXPECT_EQ(render("{% if a %}" + repeat("{% elif a %}", kLong) + "{% endif %}b"), 1u);
  EXPECT_EQ(render(repeat("{{ 1 }}", kLong)), kLong);
}

TEST(ChatHostile, RecursionEnds) {
  expect_refused(ErrorKind::kUnsupported, "levels within each other while rendering",
                 "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
  expect_refused(ErrorKind::kUnsupported, "values within each other",
                 "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}");
  expect_refused(
      ErrorKind::kUnsupported, "values within each other",
      "{% set ns = namespace(x={}) %}{% for i in range(999) %}{% set ns.x = {'a': ns.x.items} %}{% endfor %}");
}

TEST(ChatHostile, TimeAndMemoryEnd) {
  const std::string loops = repeat("{% for i in range(100000) %}", 3) + "x" + repeat("{% endfor %}", 3);
  expect_refused(ErrorKind::kUnsupported, "steps", loops);
  expect_refused(ErrorKind::kUnsupported, "steps",
                 "{% for i in range(100000) %}{% macro m() %}{% endmacro %}{% set n = namespace() %}{% endfor %}");
  // 2^60 comparisons of a value that shares its parts.
  expect_refused(ErrorKind::kUnsupported, "steps",
                 "{% set n = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}"
                 "{% set n.b = [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}");
  const std::string doubling = "{% set n = namespace(s='abcdefgh') %}{% for i in range(60) %}";
  expect_refused(ErrorKind::kUnsupported, "characters", doubling + "{% set n.s = n.s + n.s %}{% endfor %}");
  expect_refused(ErrorKind::kUnsupported, "characters", doubling + "{% set n.s = n.s|replace('a', n.s) %}{% endfor %}");
  expect_refused(ErrorKind::kUnsupported, "characters", doubling + "{% set n.s = n.s.join([n.s, n.s]) %}{% endfor %}");
  expect_refused(ErrorKind::kUnsupported, "characters", doubling + "{% set n.s = [n.s, n.s]|tojson %}{% endfor %}");
  expect_refused(ErrorKind::kUnsupported, "elements", "{{ 'ab' * 9223372036854775807 }}");
  expect_refused(ErrorKind::kUnsupported, "elements", "{{ [1] * 1000000000 }}");
  expect_refused(ErrorKind::kUnsupported, "characters", "{{ 'a'|indent(9223372036854775807) }}");
  expect_refused(ErrorKind::kUnsupported, "characters", "{{ [1]|tojson(indent=9223372036854775807) }}");
  expect_refused(ErrorKind::kUnsupported, "range of at most", "{{ range(-9223372036854775807, 9223372036854775807) }}");
  expect_refused(ErrorKind::kUnsupported, "a template of at most", std::string(chat::kMaxTemplateBytes + 1, ' '));
  expect_refused(ErrorKind::kUnsupported, "strftime_now", "{{ strftime_now('%1000000d') }}");
  expect_refused(ErrorKind::kUnsupported, "64 bits", "{{ -9223372036854775807 - 1 - 1 }}");
  expect_refused(ErrorKind::kUnsupported, "64 bits", "{{ (-9223372036854775807 - 1) // -1 }}");
  expect_refused(ErrorKind::kUnsupported, "64 bits", "{{ 10 ** 19 }}");
}

TEST(ChatHostile, SelfReferencesAreHarmless) {
  const std::string source =
      "{% set ns = namespace() %}{% set ns.self = ns %}{% set ns.list = [ns] %}{% macro m() %}{% endmacro %}"
      "{% set ns.m = m %}{{ ns.self.self.list[0].m() }}{{ ns == ns.self }}";
  EXPECT_EQ(ChatTemplate::compile(source).render({}), "True");
  expect_refused(ErrorKind::kUnsupported, "can be printed, found a namespace", "{{ [namespace()] }}");
  // A macro that outlives the loop it was defined in still sees its variables.
  EXPECT_EQ(ChatTemplate::compile("{% set ns = namespace() %}{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}"
                                  "{% set ns.m = m %}{% endfor %}{{ ns.m() }}")
                .render({}),
            "2");
}

TEST(ChatHostile, BadJsonIsTheCallersMistake) {
  const ChatTemplate chat = ChatTemplate::compile("{{ messages[0].extra }}");
  const auto refuse = [&](std::string_view part, const ChatMessage& message, const ChatOptions& options) {
    expect_error(ErrorKind::kInvalidArgument, part, [&] { static_cast<void>(chat.render({&message, 1}, options)); });
  };
  refuse("chat: tools: expected JSON, found a mistake at byte", {"user", "a"}, {.tools_json = "[1,"});
  refuse("fields of a message: expected a JSON object", {"user", "a", "[1]"}, {});
  refuse("variable 'x': expected JSON", {"user", "a"}, {.variables = {{"x", ""}}});
  refuse("values within each other", {"user", "a"}, {.tools_json = repeat("[", 100'000)});
  refuse("64 bits", {"user", "a"}, {.tools_json = "[18446744073709551615]"});
  const ChatMessage message{"user", "a", R"({"extra": {"k": ["\u00e9", 1e2]}})"};
  EXPECT_EQ(chat.render({&message, 1}), "{'k': ['\xC3\xA9', 100.0]}");
}

/// Cut and changed templates of cases.json: refused or rendered, but nothing else.
TEST(ChatHostile, DamagedTemplates) {
  std::ifstream file(TERN_CHAT_TESTS "/cases.json");
  const auto content = nlohmann::json::parse(file);
  std::mt19937 random(7);
  for (const auto& one : content["cases"]) {
    const auto source = one["template"].get<std::string>();
    for (int round = 0; round < 40; ++round) {
      std::string damaged = '\x03' + ("<a>" + source);
      for (std::size_t n = random() % 4; n > 0; --n) {
        const std::size_t at = 1 + random() % (damaged.size() - 1);
        if (random() % 2 == 0) {
          damaged[at] = "{}%#-|'\"()[].,:~ \n=0a\xC3"[random() % 22];
        } else {
          damaged.erase(at, random() % 5);
        }
        if (damaged.size() < 2) break;
      }
      try {
        EXPECT_TRUE(test::consume_template(damaged)) << "seed 7: " << damaged;
      } catch (const Error&) {
        // most are refused
      }
    }
  }
}

TEST(ChatTemplate, ThreadsShareOne) {
  const ChatTemplate chat = ChatTemplate::compile(
      "{% macro m(x) %}<{{ x }}>{% endmacro %}{% for m2 in messages %}{{ m(m2.content) }}{{ ['a']|map('upper')|list }}"
      "{% endfor %}");
  std::vector<std::thread> threads;
  std::vector<std::string> texts(4);
  for (std::string& text : texts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) text = chat.render(std::vector<ChatMessage>{{"user", "x"}, {"assistant", "y"}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) EXPECT_EQ(text, "<x>['A']<y>['A']");
}

}  // namespace
}  // namespace tern
