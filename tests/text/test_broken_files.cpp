#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/expect_error.h"
#include "tokenizer_file.h"

namespace tern {
namespace {

struct Broken {
  std::string_view expected;  // part of the message
  ErrorKind kind;
  std::function<void(test::TokenizerFile&)> break_it;
};

void expect_all_refused(const test::TokenizerFile& good, const std::vector<Broken>& cases) {
  EXPECT_NO_THROW((void)good.tokenizer());
  for (const Broken& broken : cases) {
    test::TokenizerFile file = good;
    broken.break_it(file);
    test::expect_error(broken.kind, broken.expected, [&] { (void)file.tokenizer(); });
    test::expect_error(broken.kind, "memory.gguf", [&] { (void)file.tokenizer(); });
  }
}

using test::TokenizerFile;
constexpr ErrorKind kBadFile = ErrorKind::kBadFile;
constexpr ErrorKind kUnsupported = ErrorKind::kUnsupported;

TEST(BrokenFiles, AnyKind) {
  const std::vector<Broken> cases = {
      {"tokenizer.ggml.model", kBadFile, [](TokenizerFile& f) { f.remove("tokenizer.ggml.model"); }},
      {"'bert'", kUnsupported, [](TokenizerFile& f) { f.set("tokenizer.ggml.model", "bert"); }},
      {"tokenizer.ggml.model", kBadFile, [](TokenizerFile& f) { f.set("tokenizer.ggml.model", 1); }},
      {"tokenizer.ggml.tokens", kBadFile, [](TokenizerFile& f) { f.remove("tokenizer.ggml.tokens"); }},
      {"tokenizer.ggml.tokens", kBadFile,
       [](TokenizerFile& f) { f.set("tokenizer.ggml.tokens", std::vector<std::string>{}); }},
      {"tokenizer.ggml.tokens", kBadFile,
       [](TokenizerFile& f) {
         f.set("tokenizer.ggml.tokens", std::vector<std::int32_t>{1, 2});
       }},
      {"token_type: expected", kBadFile,
       [](TokenizerFile& f) {
         f.set("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1});
       }},
      {"token_type: expected", kBadFile,
       [](TokenizerFile& f) { f.set("tokenizer.ggml.token_type", std::vector<float>(259, 1.0f)); }},
      {"found 7", kBadFile,
       [](TokenizerFile& f) { f.set("tokenizer.ggml.token_type", std::vector<std::int32_t>(259, 7)); }},
      {"found -1", kBadFile,
       [](TokenizerFile& f) { f.set("tokenizer.ggml.token_type", std::vector<std::int32_t>(259, -1)); }},
      {"scores: expected", kBadFile, [](TokenizerFile& f) { f.set("tokenizer.ggml.scores", std::vector<float>{1}); }},
      {"scores: expected", kBadFile,
       [](TokenizerFile& f) { f.set("tokenizer.ggml.scores", std::vector<std::int32_t>(259, 1)); }},
      {"NaN", kBadFile,
       [](TokenizerFile& f) {
         f.set("tokenizer.ggml.scores", std::vector<float>(259, std::numeric_limits<float>::quiet_NaN()));
       }},
      {"add_bos_token", kBadFile, [](TokenizerFile& f) { f.set("tokenizer.ggml.add_bos_token", "yes"); }},
  };
  expect_all_refused(test::sentencepiece_file({}), cases);
  expect_all_refused(test::byte_level_file({{"a", "b"}, {"c", "d"}, {"e", "f"}}), cases);
}

TEST(BrokenFiles, ByteLevel) {
  const auto merges = [](const std::vector<std::string>& list) {
    return [list](TokenizerFile& f) { f.set("tokenizer.ggml.merges", list); };
  };
  expect_all_refused(
      test::byte_level_file({{"a", "b"}}),
      {{"tokenizer.ggml.merges", kBadFile, [](TokenizerFile& f) { f.remove("tokenizer.ggml.merges"); }},
       {"tokenizer.ggml.merges", kBadFile, [](TokenizerFile& f) { f.set("tokenizer.ggml.merges", "a b"); }},
       {"entry 1", kBadFile, merges({"a b", "ab"})},
       {"entry 0", kBadFile, merges({""})},
       {"entry 0", kBadFile, merges({" "})},
       {"entry 0", kBadFile, merges({" ab"})},
       {"entry 0", kBadFile, merges({"ab "})},
       {"tokenizer.ggml.pre", kBadFile, [](TokenizerFile& f) { f.set("tokenizer.ggml.pre", 5); }}});
}

TEST(BrokenFiles, SentencePiece) {
  expect_all_refused(
      test::sentencepiece_file({}),
      {{"tokenizer.ggml.scores", kBadFile, [](TokenizerFile& f) { f.remove("tokenizer.ggml.scores"); }},
       {"add_space_prefix", kBadFile, [](TokenizerFile& f) { f.set("tokenizer.ggml.add_space_prefix", 1); }},
       {"tern.tokenizer.space_prefix: expected if_none or first_if_none, found 'x'", kUnsupported,
        [](TokenizerFile& f) { f.set("tern.tokenizer.space_prefix", "x"); }}});
  for (const std::string text : {"<0x4>", "<0xGG>", "<0x041>", "0x41", "", "<0x+1>"}) {
    const TokenizerFile file = test::sentencepiece_file({{text, test::kByte}});
    test::expect_error(kBadFile, "token 259", [&] { (void)file.tokenizer(); });
  }
}

}  // namespace
}  // namespace tern
