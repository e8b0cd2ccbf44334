#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/text/utf8.h"
#include "tokenizer_file.h"

namespace tern {
namespace {

/// Every token is one byte, so that a text of n bytes arrives in n pieces.
Tokenizer byte_tokenizer() { return test::byte_level_file({}, {{"<end>", test::kControl}}).tokenizer(); }

std::string stream(const Tokenizer& tokenizer, const std::vector<Token>& tokens, bool continues_text = true) {
  StreamDecoder decoder(tokenizer, continues_text);
  std::string text;
  for (const Token token : tokens) text += decoder.push(token);
  return text + decoder.flush();
}

bool is_valid_utf8(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = text::utf8_sequence_length(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

TEST(StreamDecoder, NeverSplitsACharacterAtAnySplit) {
  const std::string text = "a\xC3\xA9\xE6\xBC\xA2\xF0\x9F\x8E\x89 z\xF4\x8F\xBF\xBF";
  // A vocabulary with a token for each part, for every way to cut the text into three parts.
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); ++second) {
      const Tokenizer tokenizer = test::byte_level_file({}, {{test::spell(text.substr(0, first))},
                                                             {test::spell(text.substr(first, second - first))},
                                                             {test::spell(text.substr(second))}})
                                      .tokenizer();
      StreamDecoder decoder(tokenizer);
      std::string streamed;
      for (const Token token : {256, 257, 258}) {
        const std::string piece = decoder.push(token);
        EXPECT_TRUE(is_valid_utf8(piece)) << testing::PrintToString(piece);
        streamed += piece;
      }
      EXPECT_EQ(streamed, text);
      EXPECT_EQ(decoder.flush(), "");
    }
  }
}

TEST(StreamDecoder, HoldsAtMostThreeBytes) {
  const Tokenizer tokenizer = byte_tokenizer();
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.push(0x8E), "");
  EXPECT_EQ(decoder.push(0x89), "\xF0\x9F\x8E\x89");
  // What cannot become a character is given out at once.
  EXPECT_EQ(decoder.push(0x80), "\x80");
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.push('a'),
            "\xE2"
            "a");
  EXPECT_EQ(decoder.push(0xE0), "");
  EXPECT_EQ(decoder.push(0x80), "\xE0\x80");
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.push(0xE2), "\xE2");
  EXPECT_EQ(decoder.push(256), "");
  EXPECT_EQ(decoder.push(0x96), "");
  EXPECT_EQ(decoder.flush(), "\xE2\x96");
  EXPECT_EQ(decoder.flush(), "");
}

TEST(StreamDecoder, GivesAllBytesBack) {
  const Tokenizer tokenizer = byte_tokenizer();
  std::vector<Token> tokens;
  std::string expected;
  unsigned state = 1;
  for (int i = 0; i < 5000; ++i) {
    state = state * 1664525u + 1013904223u;
    // Half of them are leads and continuations, so that sequences are often complete.
    const unsigned byte = i % 2 == 0 ? 0x80u + (state >> 24) % 0x80u : state >> 24;
    tokens.push_back(static_cast<Token>(byte));
    expected += static_cast<char>(byte);
  }
  EXPECT_EQ(stream(tokenizer, tokens), expected);
}

TEST(StreamDecoder, DropsTheAddedSpaceOnlyAtTheBeginOfAText) {
  const Tokenizer tokenizer = test::sentencepiece_file({{"\xE2\x96\x81"
                                                         "a"},
                                                        {"b"}})
                                  .tokenizer();
  EXPECT_EQ(stream(tokenizer, {1, 259, 259, 260}, false), "a ab");
  EXPECT_EQ(stream(tokenizer, {1, 259, 259, 260}, true), " a ab");
  EXPECT_EQ(stream(tokenizer, {260, 259}, false), "b a");
  const Tokenizer plain = test::byte_level_file({}).tokenizer();
  EXPECT_EQ(stream(plain, {' ', 'a'}, false), " a");
}

}  // namespace
}  // namespace tern
