#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/tools/fixture.h"

// tern embed over a tiny model.
namespace tern::test {
namespace {

using Json = nlohmann::json;

class Embed : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    write_file(model_, make_tiny_model({.architecture = "qwen3", .input_norms = true}).build());
  }
  [[nodiscard]] Outcome embed(std::vector<std::string> options, std::string input = {}) const {
    return run_tern({.arguments = with_model("embed", std::move(options)), .input = std::move(input)});
  }
};

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  return lines;
}

TEST_F(Embed, WritesALineForEveryText) {
  const Outcome outcome = embed({"Once upon a time", "there was"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const std::vector<Json> lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["id"], 1);
  EXPECT_EQ(lines[0]["n_tokens"], 5);  // BOS and four words
  EXPECT_EQ(lines[1]["id"], 2);
  ASSERT_EQ(lines[1]["embedding"].size(), 256u);
  double squares = 0.0;
  for (const double value : lines[1]["embedding"]) squares += value * value;
  EXPECT_NEAR(squares, 1.0, 1e-5);
  // Other threads, kernels and sources give the same bytes.
  const std::string file = temporary_path("texts.txt");
  std::ofstream(file) << "Once upon a time\n\nthere was";
  const std::string same = embed({"-i", file, "-t", "1", "--kernel", "reference"}).out;
  std::vector<Json> others = lines_of(same);
  ASSERT_EQ(others.size(), 2u);
  EXPECT_EQ(others[1]["id"], 3);  // the line's number
  others[1]["id"] = 2;
  EXPECT_EQ(others, lines);
  EXPECT_EQ(embed({}, "Once upon a time\nthere was\n").out, outcome.out);
}

TEST_F(Embed, WritesRawFloats) {
  const std::string file = temporary_path("vectors.f32");
  ASSERT_EQ(embed({"--format", "f32", "-o", file, "a", "b"}).status, 0);
  std::ifstream in(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<float> rows(bytes.size() / sizeof(float));
  ASSERT_EQ(rows.size(), 2u * 256);
  std::memcpy(rows.data(), bytes.data(), bytes.size());
  const Json second = lines_of(embed({"b"}).out)[0]["embedding"];
  for (std::size_t i = 0; i < 256; ++i) ASSERT_EQ(rows[256 + i], second[i].get<float>()) << i;
}

TEST_F(Embed, ReadsRecords) {
  const Outcome outcome = embed({"--jsonl", "-i", "-", "--no-normalize", "--pooling", "mean"},
                                "{\"id\":\"a\\n7\",\"text\":\"one\"}\n{\"text\":\"two\"}\n");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const std::vector<Json> lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["id"], "a\n7");
  EXPECT_EQ(lines[1]["id"], 2);
  expect_error(embed({"--jsonl"}, "{\"text\":\"one\"}\n{\"text\":5}\n"), 2,
               "standard input: line 2: expected a record");
  expect_error(embed({"--jsonl"}, "{\"text\":\"a\",\"x\":5}\n"), 2, "line 1: unknown field 'x'");
}

TEST_F(Embed, PrintsSimilarity) {
  EXPECT_EQ(embed({"--similarity", "a b", "a b"}).out, "1.000000\n");
  const double other = std::stod(embed({"--similarity", "a b", "Once upon a time"}).out);
  EXPECT_LT(std::fabs(other), 1.0);
}

TEST_F(Embed, NamesMistakes) {
  const std::string file = temporary_path("vectors.jsonl");
  expect_error(embed({"-c", "4", "-o", file, "a", "abcdef"}), 2,
               "text 2: a text of 7 tokens does not fit in the context of 4 tokens");
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_EQ(embed({"-c", "4", "--truncate", "abcdef"}).out, embed({"abc"}).out);
  expect_error(embed({"-i", file, "a"}), 2, "expected one of them");
  expect_error(embed({"-i", file}), 4, "cannot be opened");
  expect_error(embed({"--jsonl", "a"}), 2, "excludes");
  expect_error(embed({"c", "--similarity", "a", "b"}), 2, "excludes");
  expect_error(embed({"--similarity", "a", "b", "-o", file}), 2, "excludes");
  expect_error(embed({"--similarity", "a", "b", "--format", "f32"}), 2, "excludes");
  expect_error(embed({"--pooling", "max", "a"}), 2, "--pooling");
  expect_error(run_tern(with_model("run", {"a"})), 3, "an embedding model");
}

}  // namespace
}  // namespace tern::test
