// Tokenizers made of random tokens and merges, random text through them and back: what the fuzzer does, for some
// seconds less and always the same.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "consume_tokenizer.h"
#include "tern/error.h"

namespace tern {
namespace {

TEST(RandomFiles, TextAndTokensAgree) {
  std::mt19937 random(21);
  int n_loaded = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::byte> input(random() % 600);
    // Few different bytes, so that texts repeat and merge.
    for (std::byte& byte : input)
      byte = static_cast<std::byte>(random() % 3 == 0 ? static_cast<char>(random()) : "ab <\xE2\x96\x81"[random() % 7]);
    try {
      EXPECT_TRUE(test::consume_tokenizer(input)) << round;
      ++n_loaded;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("memory.gguf: "), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(n_loaded, 300);
  EXPECT_LT(n_loaded, 3000);
}

}  // namespace
}  // namespace tern
