#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tools/fixture.h"

namespace tern::test {

using Json = nlohmann::json;

inline std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// Records of many lengths; every third begins like the others of its kind.
inline std::string mixed_records(int n) {
  std::string lines;
  for (int i = 0; i < n; ++i) {
    std::string prompt = i % 3 == 0 ? std::string(90, 'a') : "";
    for (int k = 0; k < i * 7 % 40; ++k) prompt += static_cast<char>('b' + (i + k) % 20);
    Json record = {{"id", "r" + std::to_string(i)}, {"prompt", prompt + "x"}, {"max_tokens", 1 + i % 9}, {"seed", i}};
    if (i % 4 == 0) record["temperature"] = 0;
    if (i % 5 == 0) record["logprobs"] = 2;
    lines += record.dump() + "\n";
  }
  return lines;
}

class BatchCommand : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    input_ = temporary_path("in.jsonl");
    output_ = temporary_path("out.jsonl");
    write(input_, mixed_records(40));
  }

  /// Arguments of a batch from input_ to output_.
  [[nodiscard]] std::vector<std::string> batch(std::vector<std::string> more) const {
    more.insert(more.begin(), {"-i", input_, "-o", output_, "-c", "160"});
    return with_model("batch", std::move(more));
  }
  /// The results of one run on one thread, one text at a time.
  [[nodiscard]] std::string plain_results() const {
    const Outcome outcome = run_tern(batch({"--force", "--parallel", "1", "-t", "1"}));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return read(output_);
  }

  std::string input_;
  std::string output_;
};

}  // namespace tern::test
