// Damaged files of a directory end in an Error or are read, whatever they hold.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "consume_directory.h"
#include "hf_directory.h"
#include "src/weights/codec.h"
#include "tests/support/tiny_model.h"
#include "tests/text/tokenizer_file.h"

namespace tern {
namespace {

constexpr std::uint32_t kSeed = 20261122;
constexpr int kFlips = 1500;

/// Changes one to three bytes of a good file, most of them among its first `n_header`.
void damage(const std::string& good, std::size_t n_header, const std::function<void(const std::string&)>& consume) {
  std::mt19937 rng(kSeed);
  int refused = 0;
  for (int i = 0; i < kFlips; ++i) {
    std::string bad = good;
    for (unsigned n = 0; n <= rng() % 3; ++n) {
      const std::size_t at = rng() % (rng() % 4 == 0 ? bad.size() : n_header);
      bad[at] = static_cast<char>(rng());
    }
    if (rng() % 8 == 0) bad.resize(rng() % bad.size());
    try {
      consume(bad);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, kFlips / 10) << "seed " << kSeed;
  EXPECT_LT(refused, kFlips) << "seed " << kSeed;
}

test::HfFiles small_files() {
  const auto bytes =
      test::make_tiny_model({.architecture = "qwen3", .type = "I2_S", .n_layers = 1, .ffn_dim = 256}).build();
  return test::hf_files(format::parse_gguf(bytes, "twin", weights::tensor_size), test::HfForm::kPackedMultiply);
}

TEST(HuggingFaceDamage, Safetensors) {
  const std::string whole = small_files()["model.safetensors"];
  damage(whole, 2000,
         [](const std::string& bad) { static_cast<void>(test::consume_safetensors(std::as_bytes(std::span(bad)))); });
}

TEST(HuggingFaceDamage, Config) {
  const std::string whole = small_files()["config.json"];
  damage(whole, whole.size(), [](const std::string& bad) { static_cast<void>(test::consume_config(bad)); });
}

TEST(HuggingFaceDamage, TokenizerJson) {
  const std::string whole = small_files()["tokenizer.json"];
  damage(whole, whole.size(), [](const std::string& bad) { static_cast<void>(test::consume_tokenizer_json(bad)); });
}

TEST(HuggingFaceDamage, SentencePieceModel) {
  const test::TokenizerFile file = test::sentencepiece_file({{"a"}, {"b"}, {"ab", test::kNormal, 1}});
  const std::string whole = test::sentencepiece_model(file.metadata());
  damage(whole, whole.size(), [](const std::string& bad) {
    static_cast<void>(test::consume_sentencepiece_model(std::as_bytes(std::span(bad))));
  });
}

}  // namespace
}  // namespace tern
