#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>

#include "kernels/dispatch.h"
#include "src/base/fnv1a.h"
#include "tests/engine/model_file.h"
#include "tests/support/expect_error.h"

namespace tern {
namespace {

using test::all_logits;
using test::ModelFile;

std::vector<Token> some_tokens(std::size_t n) {
  std::vector<Token> tokens(n);
  for (std::size_t i = 0; i < n; ++i) tokens[i] = static_cast<Token>(i * 37 % 250);
  return tokens;
}

struct Variant {
  const char* architecture;
  const char* type;
  bool one_scale;
};

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_all(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

/// A saved text of 300 tokens, more than a page of the KV cache.
class SavedText : public testing::TestWithParam<KvType> {
 protected:
  ~SavedText() override { std::filesystem::remove(path_); }

  [[nodiscard]] Session session(std::size_t context = 400) const {
    return Session(model_, {.context = context, .kv_type = GetParam(), .threads = 1});
  }

  std::shared_ptr<const Model> model_ = ModelFile(test::TinyModelOptions{.architecture = "llama"}).open();
  std::string path_ = (std::filesystem::temp_directory_path() / ("tern-text-" + std::to_string(::getpid()))).string();
};

TEST_P(SavedText, IsGoneOnWithAsIfItHadNeverBeenAway) {
  Session first = session();
  first.evaluate(some_tokens(300));
  first.save(path_);
  Session second = session();
  second.load(path_);
  EXPECT_TRUE(std::ranges::equal(second.tokens(), first.tokens()));
  const Token token = 7;
  const auto expected = first.evaluate({&token, 1});
  EXPECT_TRUE(std::ranges::equal(second.evaluate({&token, 1}), expected));
}

TEST_P(SavedText, MayBeEmpty) {
  session().save(path_);
  Session second = session();
  second.evaluate(some_tokens(3));
  second.load(path_);
  EXPECT_EQ(second.position(), 0u);
  EXPECT_EQ(second.stats().logits_hash, 0u);
}

TEST_P(SavedText, IsRefusedWhenItIsNotWhatWasSaved) {
  Session first = session();
  first.evaluate(some_tokens(300));
  first.save(path_);
  const std::string good = read_all(path_);
  Session second = session();
  const Token token = 7;
  second.evaluate({&token, 1});
  for (std::size_t at = 0; at < good.size(); at += at < 128 ? 1 : good.size() / 50) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    write_all(path_, bad);
    EXPECT_THROW(second.load(path_), Error) << "byte " << at;
    write_all(path_, good.substr(0, at));
    EXPECT_THROW(second.load(path_), Error) << "cut at " << at;
  }
  EXPECT_EQ(second.position(), 1u);
  write_all(path_, good);
  EXPECT_THROW(session(200).load(path_), Error);
  const KvType other_type = GetParam() == KvType::kF16 ? KvType::kF32 : KvType::kF16;
  EXPECT_THROW(Session(model_, {.context = 400, .kv_type = other_type}).load(path_), Error);
  const auto other_model = ModelFile(test::TinyModelOptions{.architecture = "qwen3"}).open();
  EXPECT_THROW(Session(other_model, {.context = 400, .kv_type = GetParam()}).load(path_), Error);
}

/// The last bytes before a saved text's checksum replaced, and the checksum as it must be then.
std::string with_end(std::string file, std::size_t n_before_end, std::string_view bytes) {
  file.replace(file.size() - 8 - n_before_end, bytes.size(), bytes);
  WordHash hash;
  hash.add(std::as_bytes(std::span(file).first(file.size() - 8)));
  const std::uint64_t value = hash.value();
  std::memcpy(file.data() + file.size() - 8, &value, sizeof value);
  return file;
}

TEST(SavedTextOf8Bits, IsRefusedWithCodesThatNoCacheHolds) {
  const auto model = ModelFile(test::TinyModelOptions{.architecture = "llama"}).open();
  const std::string path =
      (std::filesystem::temp_directory_path() / ("tern-codes-" + std::to_string(::getpid()))).string();
  Session session(model, {.context = 400, .kv_type = KvType::kInt8, .threads = 1});
  session.evaluate(some_tokens(300));
  session.save(path);
  const std::string good = read_all(path);
  // At the end of a file: values of the last head, their keys' scales, and their own, of 48 positions each.
  constexpr std::size_t kScales = 48 * sizeof(float);
  const std::string_view nan("\0\0\xc0\x7f", 4);
  const std::string_view minus_one("\0\0\x80\xbf", 4);
  for (const std::string& bad : {with_end(good, 2 * kScales + 1, "\x80"), with_end(good, 2 * kScales, nan),
                                 with_end(good, kScales, minus_one), with_end(good, 4, nan)}) {
    write_all(path, bad);
    test::expect_error(ErrorKind::kBadFile, "expected codes of -127 to 127", [&] { session.load(path); });
  }
  write_all(path, with_end(good, 2 * kScales + 1, "\x81"));
  EXPECT_NO_THROW(session.load(path));
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Types, SavedText, testing::Values(KvType::kF16, KvType::kF32, KvType::kInt8));

class EveryModel : public testing::TestWithParam<Variant> {
 protected:
  ModelFile file_{test::TinyModelOptions{.architecture = GetParam().architecture,
                                         .type = GetParam().type,
                                         .one_scale = GetParam().one_scale,
                                         .tied_embeddings = GetParam().one_scale}};
};

TEST_P(EveryModel, PromptInBatchesEqualsTokenByToken) {
  const auto model = file_.open();
  const std::vector<Token> tokens = some_tokens(45);
  Session one_by_one(model, {.threads = 1, .batch = 1});
  const std::vector<float> expected = all_logits(one_by_one, tokens);
  for (const std::size_t batch : {2u, 7u, 32u, 64u}) {
    for (const unsigned threads : {1u, 2u, 3u}) {
      Session session(model, {.threads = threads, .batch = batch});
      EXPECT_EQ(all_logits(session, tokens), expected) << "batch " << batch << ", threads " << threads;
    }
  }
}

TEST_P(EveryModel, EveryKernelGivesTheSameBits) {
  const std::vector<Token> tokens = some_tokens(40);
  Session reference(file_.open("reference"), {.threads = 1});
  const std::vector<float> expected = all_logits(reference, tokens);
  for (const kernels::TernaryKernel* kernel : kernels::runnable_ternary_kernels(kernels::usable_isa())) {
    const auto model = file_.open(kernel->name);
    EXPECT_EQ(model->summary().prompt_kernel, kernel->name);
    Session session(model, {.threads = 2});
    EXPECT_EQ(all_logits(session, tokens), expected) << kernel->name;
  }
}

INSTANTIATE_TEST_SUITE_P(Engine, EveryModel,
                         testing::Values(Variant{"bitnet", "TQ2_0", true}, Variant{"bitnet", "I2_S", true},
                                         Variant{"bitnet-b1.58", "TQ1_0", true},
                                         Variant{"bitnet-b1.58", "TQ2_0", false}, Variant{"llama", "TQ1_0", false},
                                         Variant{"llama", "I2_S", true}, Variant{"qwen3", "TQ2_0", true},
                                         Variant{"qwen3", "F16", true}),
                         [](const auto& test) {
                           std::string name = std::string(test.param.architecture) + "_" + test.param.type;
                           std::erase_if(name, [](char c) { return c == '-' || c == '.'; });
                           return name + (test.param.one_scale ? "" : "_block_scales");
                         });

TEST(Session, ContinuesWhereItStopped) {
  const ModelFile file(test::TinyModelOptions{});
  const auto model = file.open();
  const std::vector<Token> tokens = some_tokens(20);
  Session whole(model, {});
  const auto expected = whole.evaluate(tokens);
  Session parts(model, {});
  static_cast<void>(parts.evaluate(std::span(tokens).first(13)));
  const auto logits = parts.evaluate(std::span(tokens).subspan(13));
  EXPECT_TRUE(std::equal(logits.begin(), logits.end(), expected.begin(), expected.end()));
  EXPECT_EQ(parts.position(), 20u);
  EXPECT_EQ(parts.stats().logits_hash, whole.stats().logits_hash);
}

TEST(Session, RewindForgets) {
  const ModelFile file(test::TinyModelOptions{});
  Session session(file.open(), {});
  const std::vector<Token> tokens = some_tokens(10);
  const std::vector<float> first = all_logits(session, tokens);
  session.rewind(4);
  EXPECT_EQ(session.position(), 4u);
  static_cast<void>(session.evaluate(std::vector<Token>{1, 2, 3}));
  session.rewind(0);
  EXPECT_EQ(all_logits(session, tokens), first);
  EXPECT_THROW(session.rewind(11), Error);
}

TEST(Session, RefusesWhatItCanNotHoldAndStaysAsItWas) {
  const ModelFile file(test::TinyModelOptions{});
  Session session(file.open(), {.context = 8});
  static_cast<void>(session.evaluate(some_tokens(6)));
  EXPECT_THROW(static_cast<void>(session.evaluate(some_tokens(3))), Error);
  EXPECT_THROW(static_cast<void>(session.evaluate({})), Error);
  EXPECT_THROW(static_cast<void>(session.evaluate(std::vector<Token>{-1})), Error);
  EXPECT_THROW(static_cast<void>(session.evaluate(std::vector<Token>{1 << 20})), Error);
  EXPECT_EQ(session.position(), 6u);
  static_cast<void>(session.evaluate(some_tokens(2)));
  EXPECT_EQ(session.position(), session.context());
}

TEST(Session, KeepsItsLogitsOnlyWhileTheirMemoryIsThere) {
  const ModelFile file(test::TinyModelOptions{});
  Session session(file.open(), {.context = 8});
  static_cast<void>(session.evaluate_rows(some_tokens(4)));
  const std::uint64_t hash = session.stats().logits_hash;
  EXPECT_THROW(static_cast<void>(session.evaluate_rows(some_tokens(5))), Error);
  EXPECT_EQ(session.stats().logits_hash, hash);
  session.rewind(2);
  EXPECT_EQ(session.position(), 2u);
}

TEST(Session, ReadsItsOwnTokensAgain) {
  const ModelFile file(test::TinyModelOptions{});
  const auto model = file.open();
  const std::vector<Token> tokens = some_tokens(20);
  Session twice(model, {.batch = 4});
  static_cast<void>(twice.evaluate(tokens));
  const auto logits = twice.evaluate(twice.tokens());
  std::vector<Token> both = tokens;
  both.insert(both.end(), tokens.begin(), tokens.end());
  Session whole(model, {});
  const auto expected = whole.evaluate(both);
  EXPECT_TRUE(std::ranges::equal(logits, expected));
  const GenerateResult again = generate_after(whole, whole.tokens(), {.max_tokens = 2});
  EXPECT_EQ(again.n_reused, 39u);
}

TEST(Session, StopsBetweenBatchesWhenAsked) {
  const ModelFile file(test::TinyModelOptions{});
  Session session(file.open(), {.batch = 4});
  int asked = 0;
  EXPECT_TRUE(session.evaluate(some_tokens(20), [&] { return ++asked < 3; }).empty());
  EXPECT_EQ(session.position(), 12u);
}

TEST(Session, RefusesToGoOnWithAFileThatWasCut) {
  const ModelFile file(test::TinyModelOptions{});
  Session session(file.open("auto", HeadType::kFile), {});
  static_cast<void>(session.evaluate(some_tokens(3)));
  std::filesystem::resize_file(file.path(), 4096);
  test::expect_error(ErrorKind::kBadFile, "truncated while in use",
                     [&] { static_cast<void>(session.evaluate(some_tokens(3))); });
  EXPECT_EQ(session.position(), 3u);
}

TEST(Session, SharesOneModelBetweenThreads) {
  const ModelFile file(test::TinyModelOptions{});
  const auto model = file.open();
  const std::vector<Token> tokens = some_tokens(30);
  std::vector<std::vector<float>> results(3);
  std::vector<std::thread> users;
  for (std::vector<float>& result : results) {
    users.emplace_back([&] {
      Session session(model, {.threads = 2, .batch = 8});
      result = all_logits(session, tokens);
    });
  }
  for (std::thread& user : users) user.join();
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

TEST(Session, CountsWhatItDoes) {
  const ModelFile file(test::TinyModelOptions{});
  const auto model = file.open();
  Session session(model, {});
  static_cast<void>(session.evaluate(some_tokens(10)));
  static_cast<void>(session.evaluate(std::vector<Token>{5}));
  const SessionStats stats = session.stats();
  EXPECT_EQ(stats.prompt_tokens, 10u);
  EXPECT_EQ(stats.decode_tokens, 1u);
  // 11 positions of f16 keys and values on top of the weights
  EXPECT_EQ(stats.decode_bytes, model->summary().bytes_read_per_token + 11 * model->summary().kv_bytes_per_token_f16);
  EXPECT_GT(stats.decode_seconds, 0.0);
}

TEST(EvaluateTogether, GivesEachSessionItsOwnLogits) {
  const ModelFile file(test::TinyModelOptions{});
  const auto model = file.open();
  constexpr std::size_t kSessions = 5;
  constexpr KvType kTypes[] = {KvType::kF16, KvType::kInt8, KvType::kF32};
  for (const std::size_t batch : {1u, 2u, 64u}) {
    std::vector<Session> together, alone;
    std::vector<Session*> pointers;
    for (std::size_t i = 0; i < kSessions; ++i) {
      const SessionOptions options{.context = 40 + i, .kv_type = kTypes[i % 3], .threads = 2, .batch = batch};
      for (auto* sessions : {&together, &alone}) {
        sessions->emplace_back(model, options);
        if (i > 0) static_cast<void>(sessions->back().evaluate(some_tokens(7 * i)));  // the first starts its text here
      }
    }
    for (Session& session : together) pointers.push_back(&session);
    for (const Token step : {0, 1, 2}) {
      std::vector<Token> tokens;
      std::vector<float> expected;
      for (std::size_t i = 0; i < kSessions; ++i) {
        tokens.push_back(static_cast<Token>(10 * i) + step);
        const auto logits = alone[i].evaluate(std::span(tokens).last(1));
        expected.insert(expected.end(), logits.begin(), logits.end());
      }
      const auto logits = evaluate_together(pointers, tokens);
      EXPECT_TRUE(std::equal(logits.begin(), logits.end(), expected.begin(), expected.end()))
          << "batch " << batch << ", step " << step;
    }
    for (std::size_t i = 0; i < kSessions; ++i) EXPECT_EQ(together[i].position(), alone[i].position());
  }
}

TEST(EvaluateTogether, RefusesWhatDoesNotBelongTogether) {
  const ModelFile file(test::TinyModelOptions{});
  const auto model = file.open();
  Session a(model, {.context = 4}), b(model, {.context = 2}), stranger(file.open(), {});
  static_cast<void>(b.evaluate(some_tokens(2)));
  const auto refuses = [](std::vector<Session*> sessions, std::vector<Token> tokens) {
    EXPECT_THROW(static_cast<void>(evaluate_together(sessions, tokens)), Error);
  };
  refuses({}, {});
  refuses({&a}, {1, 2});
  refuses({&a, nullptr}, {1, 2});
  refuses({&a, &a}, {1, 2});
  refuses({&a, &stranger}, {1, 2});
  refuses({&a}, {-1});
  refuses({&a, &b}, {1, 2});  // b is full
  EXPECT_EQ(a.position(), 0u);
  EXPECT_EQ(b.position(), 2u);
  b.rewind(1);
  static_cast<void>(evaluate_together(std::vector<Session*>{&a, &b}, std::vector<Token>{1, 2}));
  EXPECT_EQ(a.position(), 1u);
  EXPECT_EQ(b.position(), 2u);
}

TEST(Session, Int8KeysAndValuesStayCloseToFloats) {
  const ModelFile file(test::TinyModelOptions{});
  const auto model = file.open();
  const std::vector<Token> tokens = some_tokens(60);
  Session exact(model, {.kv_type = KvType::kF32});
  Session coded(model, {.kv_type = KvType::kInt8});
  const double difference = test::relative_rms(all_logits(coded, tokens), all_logits(exact, tokens));
  EXPECT_GT(difference, 0.0) << "int8 is not used";
  // An element is off by at most 1/254 of the largest of its row; activations that are themselves rounded to int8
  // multiply that a few times over.
  EXPECT_LT(difference, 0.1);
}

TEST(Session, RefusesAnEmptyContextAndOneBeyondMemory) {
  const ModelFile file(test::TinyModelOptions{});
  const auto model = file.open();
  EXPECT_EQ(Session(model, {}).context(), 128u);
  EXPECT_THROW(Session(model, {.context = std::size_t{1} << 50}), Error);
  EXPECT_THROW(Session(model, {.threads = 1u << 20}), Error);
}

}  // namespace
}  // namespace tern
