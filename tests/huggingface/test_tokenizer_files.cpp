#include <gtest/gtest.h>

#include "hf_directory.h"
#include "src/huggingface/sentencepiece_model.h"
#include "src/huggingface/tokenizer_json.h"
#include "src/text/tokenizer_factory.h"
#include "tests/support/expect_error.h"
#include "tests/text/tokenizer_file.h"

namespace tern::huggingface {
namespace {

using test::expect_error;
using test::tokenizer_json;
using test::TokenizerFile;
using test::with_member;

Tokenizer tokenizer_of(const TokenizerDraft& draft, format::Gguf& model, std::string_view pre_rule = {}) {
  draft.write(model);
  return text::make_tokenizer(model.metadata, pre_rule);
}

format::Gguf empty_model() {
  return {.metadata = format::Metadata("model"), .tensors = {}, .tensor_index = {}, .arena = {}};
}

Tokenizer from_json(const std::string& text, std::string_view pre_rule = {}) {
  format::Gguf model = empty_model();
  const std::string source = "tokenizer.json";
  const Json json = parse_json(text, source, model.arena);
  return tokenizer_of(read_tokenizer_json(Field(json, source), model.arena), model, pre_rule);
}

Tokenizer from_sentencepiece(const std::string& file) {
  format::Gguf model = empty_model();
  return tokenizer_of(read_sentencepiece_model(std::as_bytes(std::span(file)), "tokenizer.model"), model);
}

TokenizerFile byte_level() {
  TokenizerFile file = test::byte_level_file({{"t", "h"}, {"th", "e"}, {" ", "the"}, {"1", "2"}, {"12", "3"}},
                                             {{"<|end|>", test::kControl}, {"<tool>", test::kUserDefined}});
  file.set("tokenizer.ggml.bos_token_id", 261);
  return file;
}

TokenizerFile sentencepiece() {
  return test::sentencepiece_file({{"\xE2\x96\x81", test::kNormal, -9},
                                   {"a", test::kNormal, -10},
                                   {"b", test::kNormal, -11},
                                   {"ab", test::kNormal, -1},
                                   {"\xE2\x96\x81"
                                    "ab",
                                    test::kNormal, -3},
                                   {"\xE2\x96\x81"
                                    "a",
                                    test::kNormal, -2},
                                   {"<tool>", test::kUserDefined, 0}});
}

void expect_same(const Tokenizer& found, const Tokenizer& expected) {
  for (const std::string text : {"the 123 the", "", " ab  ab b\xC3\xA4\n", "<|end|>a<tool> the", "<s>abab"}) {
    for (const bool special : {false, true}) {
      const EncodeOptions options{.add_special = special, .parse_special = special};
      const auto tokens = expected.encode(text, options);
      EXPECT_EQ(found.encode(text, options), tokens) << text;
      EXPECT_EQ(found.decode(tokens, special), expected.decode(tokens, special)) << text;
    }
  }
  EXPECT_EQ(found.vocab_size(), expected.vocab_size());
  EXPECT_EQ(found.adds_space_prefix(), expected.adds_space_prefix());
}

TEST(TokenizerJson, ByteLevelSaysWhatGgufSays) {
  for (const char* rule : {"gpt-2", "llama3", "qwen2"}) {
    TokenizerFile file = byte_level();
    file.set("tokenizer.ggml.pre", rule);
    file.set("tokenizer.ggml.add_bos_token", true);
    for (const bool as_lists : {false, true}) {
      const Tokenizer found = from_json(tokenizer_json(file.metadata(), as_lists));
      EXPECT_EQ(found.pre_rule(), rule);
      expect_same(found, file.tokenizer());
    }
  }
}

TEST(TokenizerJson, IgnoreMergesIsTheFiles) {
  TokenizerFile file = byte_level();
  file.set("tokenizer.ggml.pre", "llama3");
  // A token that no merge makes is found as a whole, or not at all.
  std::string json = with_member(tokenizer_json(file.metadata()), "model/vocab/xyz", "263");
  json = with_member(json, "model/ignore_merges", "true");
  EXPECT_EQ(from_json(json).encode("xyz").size(), 1u);
  EXPECT_EQ(from_json(with_member(json, "model/ignore_merges", "false")).encode("xyz").size(), 3u);
}

TEST(TokenizerJson, SentencePieceSaysWhatGgufSays) {
  TokenizerFile file = sentencepiece();
  file.set("tokenizer.ggml.unknown_token_id", 0);
  file.set("tokenizer.ggml.bos_token_id", 1);
  expect_same(from_json(tokenizer_json(file.metadata())), file.tokenizer());
  expect_same(from_json(tokenizer_json(file.metadata(), true)), file.tokenizer());
}

TEST(TokenizerJson, MetaspaceSaysWhetherASpaceIsPut) {
  TokenizerFile file = sentencepiece();
  file.set("tokenizer.ggml.unknown_token_id", 0);
  const std::string json = with_member(tokenizer_json(file.metadata()), "normalizer", "null");
  const auto with_scheme = [&](const char* step) { return from_json(with_member(json, "pre_tokenizer", step)); };
  EXPECT_TRUE(with_scheme(R"({"type": "Metaspace", "prepend_scheme": "first"})").adds_space_prefix());
  EXPECT_FALSE(with_scheme(R"({"type": "Metaspace", "prepend_scheme": "never"})").adds_space_prefix());
  EXPECT_FALSE(with_scheme(R"({"type": "Metaspace", "add_prefix_space": false})").adds_space_prefix());
}

TEST(TokenizerJson, AnUnknownRuleCanBeOverridden) {
  const std::string json =
      with_member(tokenizer_json(byte_level().metadata()), "pre_tokenizer",
                  R"({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
                                           {"type": "ByteLevel", "add_prefix_space": false}]})");
  expect_error(ErrorKind::kUnsupported, "found 'Digits(individual) > ByteLevel(regex)'",
               [&] { static_cast<void>(from_json(json)); });
  EXPECT_EQ(from_json(json, "qwen2").pre_rule(), "qwen2");
}

TEST(TokenizerJson, FillsHolesWithTokensThatNobodyMeans) {
  const std::string json = with_member(tokenizer_json(byte_level().metadata()), "model/vocab/far", "300");
  const Tokenizer tokenizer = from_json(json);
  EXPECT_EQ(tokenizer.vocab_size(), 301u);
  EXPECT_EQ(tokenizer.piece(300), "far");
}

TEST(TokenizerJson, RefusesWhatWouldChangeTheTokens) {
  const auto refused = [](ErrorKind kind, std::string_view part, const TokenizerFile& file, std::string_view path,
                          std::string_view value) {
    const std::string json = with_member(tokenizer_json(file.metadata()), path, value);
    expect_error(kind, part, [&] { static_cast<void>(from_json(json)); });
  };
  const TokenizerFile bpe = byte_level();
  TokenizerFile spm = sentencepiece();
  spm.set("tokenizer.ggml.unknown_token_id", 0);
  constexpr ErrorKind kUnsupported = ErrorKind::kUnsupported;
  constexpr ErrorKind kBad = ErrorKind::kBadFile;
  refused(kUnsupported, "key model.type: expected 'BPE', found 'Unigram'", bpe, "model/type", R"("Unigram")");
  refused(kUnsupported, "key model.end_of_word_suffix", bpe, "model/end_of_word_suffix", R"("</w>")");
  refused(kUnsupported, "key model.dropout", bpe, "model/dropout", "0.1");
  refused(kUnsupported, "key normalizer.type: expected no normalizer, or NFC", bpe, "normalizer",
          R"({"type": "NFKC"})");
  refused(kUnsupported, "add_prefix_space", bpe, "pre_tokenizer/add_prefix_space", "true");
  refused(kUnsupported, "key post_processor.type", bpe, "post_processor", R"({"type": "BertProcessing"})");
  refused(kBad, "key model.vocab: expected an object", bpe, "model/vocab", "{}");
  refused(kBad, "key model.vocab.x: expected an integer", bpe, "model/vocab/x", "-1");
  refused(kBad, "expected an id below", bpe, "model/vocab/x", "1073741824");
  refused(kBad, "token 0: expected one text", bpe, "model/vocab/x", "0");
  refused(kBad, "expected two texts with a space between", bpe, "model/merges/0", R"(["a"])");
  refused(kBad, "key added_tokens[0]: expected an object with content and id", bpe, "added_tokens/0", R"({"id": 3})");
  refused(kUnsupported, "spaces spelled U+2581", spm, "normalizer", "null");
  refused(kUnsupported, "key normalizer.normalizers[0].type", spm, "normalizer/normalizers/0",
          R"({"type": "Lowercase"})");
  refused(kBad, "expected two texts that make a token", spm, "model/merges/0", R"("b a")");
  refused(kUnsupported, "ways to make", spm, "model/merges", R"(["a b"])");
}

TEST(SentencePieceModel, SaysWhatGgufSays) {
  expect_same(from_sentencepiece(test::sentencepiece_model(sentencepiece().metadata())), sentencepiece().tokenizer());
}

TEST(SentencePieceModel, RefusesCutsAndOtherKinds) {
  const std::string whole = test::sentencepiece_model(sentencepiece().metadata());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    expect_error(ErrorKind::kBadFile, "tokenizer.model: ", [&] {
      static_cast<void>(read_sentencepiece_model(std::as_bytes(std::span(whole).first(size)), "tokenizer.model"));
    });
  }
  const std::string unigram = std::string("\x0A\x03\x0A\x01", 4) + "a" + std::string("\x12\x02\x18\x01", 4);
  expect_error(ErrorKind::kUnsupported, "of kind 2 (BPE), found 1",
               [&] { static_cast<void>(from_sentencepiece(unigram)); });
  expect_error(ErrorKind::kBadFile, "wire type",
               [] { static_cast<void>(from_sentencepiece("dGhl 0\n")); });  // a rank file
}

}  // namespace
}  // namespace tern::huggingface
