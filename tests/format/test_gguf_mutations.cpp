// Files cut short and files with flipped bits: each must load or be refused, and must never be read past its end. The
// sanitizers watch the reads, since every file lies in a heap block of exactly its size.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tern/error.h"
#include "tests/support/bytes.h"
#include "tests/support/consume_gguf.h"
#include "tests/support/gguf_builder.h"

namespace tern::test {
namespace {

constexpr std::size_t kRows = 4;

/// A file with every kind of value and one tensor of every type.
GgufBuilder varied_builder() {
  GgufBuilder builder;
  builder.add("general.architecture", "llama").add("u8", std::uint8_t{1}).add("i8", std::int8_t{-1});
  builder.add("u16", std::uint16_t{2}).add("i16", std::int16_t{-2}).add("u32", 3u).add("i32", -3);
  builder.add("u64", std::uint64_t{4}).add("i64", std::int64_t{-4}).add("f32", 0.5f).add("f64", 0.25);
  builder.add("bool", true).add("strings", {"one", "", "three"}).add("floats", std::vector<float>{1, 2, 3});
  builder.add("bools", std::vector<bool>{true, false}).add("longs", std::vector<std::int64_t>{-1, 1});
  Random random(1);
  for (const weights::TensorCodec* codec : weights::all_codecs()) {
    const std::uint64_t bytes = *weights::tensor_size(codec->gguf_type, 512, kRows * 512).bytes;
    std::vector<std::uint8_t> data(bytes);
    for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random.next() & 0x55);  // no code is 3
    builder.add_tensor(codec->name, codec->gguf_type, {512, kRows}, data);
  }
  return builder;
}

/// True when the file loads, false when it is refused; anything else ends the test.
bool loads(const std::vector<std::byte>& file) {
  try {
    return consume_gguf(file).n_rows > 0;
  } catch (const Error& error) {
    EXPECT_STRNE(error.what(), "");
    return false;
  }
}

TEST(GgufMutations, EveryTensorOfTheVariedFileIsRead) {
  // The rows of each type, and of I2_S once more in its other layout.
  EXPECT_EQ(consume_gguf(varied_builder().build()).n_rows, kRows * (weights::all_codecs().size() + 1));
}

TEST(GgufMutations, EveryPrefixIsRefused) {
  const std::vector<std::byte> file = varied_builder().build();
  for (std::size_t size = 0; size < file.size(); ++size) {
    const std::vector<std::byte> prefix(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_FALSE(loads(prefix)) << size << " of " << file.size() << " bytes";
  }
}

TEST(GgufMutations, FlippedBitsLoadOrAreRefused) {
  const GgufBuilder builder = varied_builder();
  const std::vector<std::byte> file = builder.build();
  const std::size_t header_bytes = builder.build_header().size();
  Random random(2);
  std::size_t n_loaded = 0;
  constexpr std::size_t kRounds = 20000;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::vector<std::byte> flipped(file);
    const std::size_t n_flips = 1 + random.below(4);
    for (std::size_t i = 0; i < n_flips; ++i) {
      // Mostly in the header, where bytes mean something to the parser.
      const std::size_t at = random.below(random.below(8) == 0 ? file.size() : header_bytes);
      flipped[at] ^= static_cast<std::byte>(1u << random.below(8));
    }
    n_loaded += loads(flipped) ? 1 : 0;
  }
  // Some flips must hurt and some must not, or this test looks at the wrong bytes.
  EXPECT_GT(n_loaded, kRounds / 100);
  EXPECT_LT(n_loaded, kRounds * 9 / 10);
}

TEST(GgufMutations, ExtremeFieldsLoadOrAreRefused) {
  const GgufBuilder builder = varied_builder();
  const std::vector<std::byte> file = builder.build();
  const std::size_t header_bytes = builder.build_header().size();
  const std::uint64_t extremes[] = {0, 1, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, 0xffffffffffffffe0, ~0ull};
  std::size_t n_loaded = 0;
  for (std::size_t at = 8; at + sizeof(std::uint64_t) <= header_bytes; ++at) {
    for (const std::uint64_t extreme : extremes) {
      std::vector<std::byte> changed(file);
      std::memcpy(changed.data() + at, &extreme, sizeof extreme);
      n_loaded += loads(changed) ? 1 : 0;
    }
  }
  EXPECT_GT(n_loaded, 0u);
}

}  // namespace
}  // namespace tern::test
