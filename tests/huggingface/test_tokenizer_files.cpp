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
  EXPECT_TRUE(with_scheme(R"({"type": "Metaspace", "add_prefix_space": true})").adds_space_prefix());
  EXPECT_FALSE(with_scheme(R"({"type": "Metaspace", "prepend_scheme": "never"})").adds_space_prefix());
  EXPECT_FALSE(with_scheme(R"({"type": "Metaspace", "add_prefix_space": false})").adds_space_prefix());
}

//   259 U+2581   260 a   264 U+2581 a   265 <tool>
TEST(TokenizerJson, MetaspaceSaysBeforeWhichPartsASpaceIsPut) {
  using Ids = std::vector<Token>;
  TokenizerFile file = sentencepiece();
  file.set("tokenizer.ggml.unknown_token_id", 0);
  const std::string prepend = tokenizer_json(file.metadata());
  const std::string bare = with_member(prepend, "normalizer", "null");
  const auto with_scheme = [](const std::string& json, const std::string& scheme) {
    return from_json(with_member(json, "pre_tokenizer",
                                 R"({"type": "Metaspace", "prepend_scheme": ")" + scheme + R"(", "split": false})"));
  };
  for (const char* scheme : {"always", "first", "never"}) {
    SCOPED_TRACE(scheme);
    const bool always = scheme == std::string("always"), never = scheme == std::string("never");
    const Tokenizer tokenizer = with_scheme(bare, scheme);
    EXPECT_EQ(tokenizer.encode("a<tool>a"), (Ids{never ? 260 : 264, 265, always ? 264 : 260}));
    EXPECT_EQ(tokenizer.encode("<tool>a"), (Ids{265, always ? 264 : 260}));
    EXPECT_EQ(tokenizer.encode(" a"), Ids{264});  // it has its space
    EXPECT_EQ(with_scheme(prepend, scheme).encode(" a<tool>a"), (Ids{259, 264, 265, 264}));
  }
  expect_error(ErrorKind::kUnsupported, "key pre_tokenizer.prepend_scheme: expected one of always, first, never",
               [&] { static_cast<void>(with_scheme(bare, "last")); });
}

TEST(TokenizerJson, MetaspaceThatCutsTokensApartIsRefused) {
  TokenizerFile file = sentencepiece();
  file.set("tokenizer.ggml.unknown_token_id", 0);
  std::string json = with_member(tokenizer_json(file.metadata()), "pre_tokenizer", R"({"type": "Metaspace"})");
  EXPECT_NO_THROW(static_cast<void>(from_json(json)));
  json = with_member(json, "model/vocab/a\xE2\x96\x81", "266");
  expect_error(ErrorKind::kUnsupported, "key pre_tokenizer.split: expected false, for token 'a",
               [&] { static_cast<void>(from_json(json)); });
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
  refused(kBad, "expected at most 65536 ids without a token, found ", bpe, "model/vocab/x", "70000");
  refused(kBad, "token 0: expected one text", bpe, "model/vocab/x", "0");
  refused(kBad, "expected two texts with a space between", bpe, "model/merges/0", R"(["a"])");
  refused(kBad, "key added_tokens[0]: expected an object with content and id", bpe, "added_tokens/0", R"({"id": 3})");
  for (const std::string option : {"lstrip", "rstrip", "single_word"}) {
    refused(kUnsupported, "key added_tokens[1]." + option + ": expected false, for token '<tool>', found true", bpe,
            "added_tokens/1/" + option, "true");
  }
  refused(kUnsupported, "spaces spelled U+2581", spm, "normalizer", "null");
  refused(kUnsupported, "key normalizer.normalizers[0].type", spm, "normalizer/normalizers/0",
          R"({"type": "Lowercase"})");
  refused(kBad, "expected two texts that make a token", spm, "model/merges/0", R"("b a")");
  refused(kUnsupported, "ways to make", spm, "model/merges", R"(["a b"])");
}

TEST(TokenizerJson, RefusesATokenThatWouldTakeLongToCut) {
  TokenizerFile file = sentencepiece();
  file.set("tokenizer.ggml.unknown_token_id", 0);
  const std::string json = tokenizer_json(file.metadata());
  const auto with_token = [&](std::size_t size) {
    return with_member(json, "model/vocab/" + std::string(size, 'x'), std::to_string(file.tokenizer().vocab_size()));
  };
  EXPECT_NO_THROW(static_cast<void>(from_json(with_token(512))));
  expect_error(ErrorKind::kUnsupported, "key model.vocab: token 266: expected at most 512 bytes, found 513",
               [&] { static_cast<void>(from_json(with_token(513))); });
}

TEST(SentencePieceModel, SaysWhatGgufSays) {
  expect_same(from_sentencepiece(test::sentencepiece_model(sentencepiece().metadata())), sentencepiece().tokenizer());
}

TEST(SentencePieceModel, RefusesOptionsThatChangeTheText) {
  const std::string whole = test::sentencepiece_model(sentencepiece().metadata());
  const auto refused = [&](const std::string& message, const char* named) {
    expect_error(ErrorKind::kUnsupported, named, [&] { static_cast<void>(from_sentencepiece(whole + message)); });
  };
  refused(std::string("\x1A\x04\x12\x02\0\0", 6),
          "tokenizer.model: bytes of normalizer_spec.precompiled_charsmap: expected 0, found 2");
  refused("\x1A\x02\x20\x01", "tokenizer.model: normalizer_spec.remove_extra_whitespaces: expected 0, found 1");
  refused(std::string("\x1A\x02\x28\0", 4), "normalizer_spec.escape_whitespaces: expected 1, found 0");
  refused("\x12\x05\x18\x02\xC0\x01\x01", "trainer_spec.treat_whitespace_as_suffix: expected 0, found 1");
  const std::string no_normalizer = std::string("\x0A\x03\x0A\x01", 4) + "a" + "\x12\x02\x18\x02";
  expect_error(ErrorKind::kUnsupported, "remove_extra_whitespaces: expected 0, found 1",
               [&] { static_cast<void>(from_sentencepiece(no_normalizer)); });
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
