#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "tests/engine/model_file.h"

/// Damaged model files: whatever a file holds, opening and running it ends in an Error or in logits.
namespace tern {
namespace {

using test::ModelFile;

constexpr std::uint32_t kSeed = 20240227;

std::vector<std::byte> small_model() {
  return test::make_tiny_model({.architecture = "qwen3", .type = "TQ1_0", .n_layers = 1, .ffn_dim = 256}).build();
}

enum class Outcome { kRefused, kRan };

Outcome open_and_run(const std::vector<std::byte>& bytes) {
  const ModelFile file(bytes);
  try {
    Session session(Model::open(file.path(), {.threads = 1}), {.context = 16, .threads = 1});
    const auto logits = session.evaluate(std::vector<Token>{1, 2, 3});
    EXPECT_EQ(logits.size(), session.model().summary().vocab_size);
    return Outcome::kRan;
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return Outcome::kRefused;
  }
}

TEST(Damage, TheWholeFileRuns) { EXPECT_EQ(open_and_run(small_model()), Outcome::kRan); }

TEST(Damage, EveryCutIsRefused) {
  const std::vector<std::byte> whole = small_model();
  // Every length where structures begin, then steps through the weights.
  for (std::size_t size = 0; size < whole.size(); size += size < 512 ? 7 : 1999) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(open_and_run(cut), Outcome::kRefused) << size << " bytes";
  }
}

TEST(Damage, FlippedBytesAreRefusedOrRun) {
  const std::vector<std::byte> whole = small_model();
  const std::size_t header =
      test::make_tiny_model({.architecture = "qwen3", .type = "TQ1_0", .n_layers = 1, .ffn_dim = 256})
          .build_header()
          .size();
  std::mt19937 rng(kSeed);
  int refused = 0;
  constexpr int kFlips = 4000;
  for (int i = 0; i < kFlips; ++i) {
    std::vector<std::byte> damaged = whole;
    // Two in three in the header, where they do most.
    const std::size_t at = rng() % (i % 3 == 0 ? whole.size() : header);
    damaged[at] ^= static_cast<std::byte>(1 + rng() % 255);
    refused += open_and_run(damaged) == Outcome::kRefused ? 1 : 0;
  }
  EXPECT_GT(refused, kFlips / 10) << "seed " << kSeed;
  EXPECT_LT(refused, kFlips) << "seed " << kSeed;
}

}  // namespace
}  // namespace tern
