// The vocabularies of tests/text/test_reference.cpp, written as Hugging Face's files, give the same ids.
#include <gtest/gtest.h>

#include <cstdlib>

#include "hf_directory.h"
#include "tests/text/reference_vectors.h"
#include "tests/text/tiktoken.h"
#include "tests/text/tokenizer_file.h"

namespace tern {
namespace {

class HuggingFaceReference : public testing::Test {
 protected:
  void SetUp() override {
    const char* shared = std::getenv("TERN_SHARED");
    if (shared == nullptr) GTEST_SKIP() << "TERN_SHARED is not set";
    folder_ = std::filesystem::path(shared) / "tokenizers";
  }

  void expect_all_equal(const test::HfFiles& files, const std::string& vectors) const {
    test::HfFiles all = files;
    all["config.json"] = kConfig;
    test::expect_all_equal(Tokenizer::open(test::HfDirectory(all).path()), folder_ / vectors);
  }

  static constexpr const char* kConfig =
      R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 1, "intermediate_size": 1, "num_hidden_layers": 1,
          "num_attention_heads": 1, "max_position_embeddings": 1, "rms_norm_eps": 0})";
  std::filesystem::path folder_;
};

TEST_F(HuggingFaceReference, Gpt2) {
  const std::string bytes = test::read_file(folder_ / "gpt-2.gguf");
  const format::Gguf gguf = test::parse_keys(bytes, "gpt-2.gguf");
  expect_all_equal({{"tokenizer.json", test::tokenizer_json(gguf.metadata)}}, "gpt-2.jsonl");
  expect_all_equal({{"tokenizer.json", test::tokenizer_json(gguf.metadata, true)}}, "gpt-2.jsonl");
}

TEST_F(HuggingFaceReference, LlamaSentencePiece) {
  const std::string bytes = test::read_file(folder_ / "llama-spm.gguf");
  const format::Gguf gguf = test::parse_keys(bytes, "llama-spm.gguf");
  expect_all_equal({{"tokenizer.json", test::tokenizer_json(gguf.metadata)}}, "llama-spm.jsonl");
  expect_all_equal({{"tokenizer.model", test::sentencepiece_model(gguf.metadata)}}, "llama-spm.jsonl");
}

TEST_F(HuggingFaceReference, Llama3) {
  const test::TokenizerFile file = test::llama3_file(test::read_file(folder_ / "llama3.tiktoken"));
  expect_all_equal({{"tokenizer.json", test::tokenizer_json(file.metadata())}}, "llama3-bpe.jsonl");
}

}  // namespace
}  // namespace tern
