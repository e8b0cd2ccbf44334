// Templates and what jinja2 gives for them: cases.json. "expected" is null where jinja2 raises.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tern/chat.h"
#include "tern/error.h"

namespace tern {
namespace {

using Json = nlohmann::ordered_json;

const std::string kCases = TERN_CHAT_TESTS "/cases.json";

Json read_cases() {
  std::ifstream file(kCases);
  return Json::parse(file);
}

/// The variables of all cases and of this one; `messages` and the like are variables as others are.
ChatOptions options_for(const Json& all, const Json& one) {
  ChatOptions options{.bos_token = "<s>", .eos_token = "</s>"};
  for (const auto& [name, value] : all.items()) options.variables[name] = value.dump();
  if (one.is_object()) {
    for (const auto& [name, value] : one.items()) options.variables[name] = value.dump();
  }
  std::tm now{};  // Friday, 26 July 2024, 14:05:09
  now.tm_year = 124;
  now.tm_mon = 6;
  now.tm_mday = 26;
  now.tm_wday = 5;
  now.tm_yday = 207;
  now.tm_hour = 14;
  now.tm_min = 5;
  now.tm_sec = 9;
  options.now = now;
  return options;
}

/// Renders every case and compares it with an expectation, a text or null.
void check_cases(const Json& content, const Json& expected) {
  ASSERT_EQ(content["cases"].size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Json& one = content["cases"][i];
    const auto source = one["template"].get<std::string>();
    std::optional<std::string> text;
    std::string message = "none";
    try {
      const Json own = one.contains("variables") ? one["variables"] : Json();
      text = ChatTemplate::compile(source).render({}, options_for(content["variables"], own));
    } catch (const Error& error) {
      message = error.what();
      EXPECT_TRUE(message.starts_with("chat template, line ")) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
    if (expected[i].is_null()) {
      EXPECT_FALSE(text) << source << "\nexpected an error, found: " << *text;
    } else {
      EXPECT_EQ(text.value_or("error: " + message), expected[i].get<std::string>()) << source;
    }
  }
}

TEST(ChatTemplates, RenderAsExpected) {
  const Json content = read_cases();
  ASSERT_GE(content["cases"].size(), 150u);
  Json expected = Json::array();
  for (const Json& one : content["cases"]) expected.push_back(one["expected"]);
  check_cases(content, expected);
}

TEST(ChatTemplates, RenderAsJinja2) {
  const std::string command = "python3 " TERN_CHAT_TESTS "/render_with_jinja2.py " + kCases;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  std::array<char, 65536> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  if (output.empty()) GTEST_SKIP() << "python3 with jinja2 is not there (status " << status << ")";
  check_cases(read_cases(), Json::parse(output));
}

}  // namespace
}  // namespace tern
