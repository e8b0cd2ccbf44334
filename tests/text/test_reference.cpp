// Compares with ids that other implementations gave, for vocabularies too large to keep here. The files lie in the
// folder `tokenizers` of the directory that the environment variable TERN_SHARED names; without it the tests skip.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "reference_vectors.h"
#include "tiktoken.h"
#include "tokenizer_file.h"

namespace tern {
namespace {

class Reference : public testing::Test {
 protected:
  void SetUp() override {
    const char* shared = std::getenv("TERN_SHARED");
    if (shared == nullptr) GTEST_SKIP() << "TERN_SHARED is not set";
    folder_ = std::filesystem::path(shared) / "tokenizers";
  }

  void expect_all_equal(const Tokenizer& tokenizer, const std::string& vectors) const {
    test::expect_all_equal(tokenizer, folder_ / vectors);
  }
  [[nodiscard]] Tokenizer open(const std::string& file) const {
    const std::string bytes = test::read_file(folder_ / file);
    return text::make_tokenizer(test::parse_keys(bytes, file).metadata, {});
  }

  std::filesystem::path folder_;
};

TEST_F(Reference, Gpt2) {
  const Tokenizer tokenizer = open("gpt-2.gguf");
  EXPECT_EQ(tokenizer.kind(), "byte-level BPE");
  expect_all_equal(tokenizer, "gpt-2.jsonl");
}

TEST_F(Reference, LlamaSentencePiece) {
  const Tokenizer tokenizer = open("llama-spm.gguf");
  EXPECT_EQ(tokenizer.kind(), "SentencePiece BPE");
  expect_all_equal(tokenizer, "llama-spm.jsonl");
}

TEST_F(Reference, Llama3) {
  const test::TokenizerFile file = test::llama3_file(test::read_file(folder_ / "llama3.tiktoken"));
  const auto begin = std::chrono::steady_clock::now();
  const Tokenizer tokenizer = file.tokenizer();
  const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
  RecordProperty("load_ms", std::to_string(elapsed.count()));
  EXPECT_TRUE(tokenizer.is_stop(128001));
  EXPECT_TRUE(tokenizer.is_stop(128009));
  EXPECT_FALSE(tokenizer.is_stop(128000));
  expect_all_equal(tokenizer, "llama3-bpe.jsonl");
}

}  // namespace
}  // namespace tern
