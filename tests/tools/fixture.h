#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "tests/support/tiny_model.h"
#include "tests/tools/process.h"

namespace tern::test {

/// A test with a tiny model in a file, and a directory that goes when the test ends.
class CommandTest : public testing::Test {
 protected:
  void SetUp() override {
    model_ = temporary_path("tiny.gguf");
    write_file(model_, make_tiny_model({.architecture = "llama"}).build());
  }
  void TearDown() override { std::filesystem::remove_all(std::filesystem::path(model_).parent_path()); }

  /// Arguments of a command over the tiny model.
  [[nodiscard]] std::vector<std::string> with_model(const std::string& command, std::vector<std::string> more) const {
    std::vector<std::string> arguments = {command, "-m", model_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  [[nodiscard]] std::string text_of(std::vector<std::string> options) const {
    const Outcome outcome = run_tern(with_model("run", std::move(options)));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.out;
  }

  std::string model_;
};

/// An error is one line on standard error, "tern: ...", which holds `words`, and nothing on standard output. Notes,
/// such as that only the slow kernel can run, may stand before it.
inline void expect_error(const Outcome& outcome, int status, const std::string& words) {
  std::string line = outcome.err;
  while (line.starts_with("note: ")) line.erase(0, line.find('\n') + 1);
  EXPECT_EQ(outcome.status, status) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(line.starts_with("tern: ")) << outcome.err;
  EXPECT_NE(line.find(words), std::string::npos) << "expected '" << words << "' in: " << outcome.err;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << outcome.err;
  EXPECT_TRUE(line.ends_with('\n'));
}

}  // namespace tern::test
