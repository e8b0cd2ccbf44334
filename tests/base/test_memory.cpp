#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "src/base/aligned_buffer.h"
#include "src/base/huge_buffer.h"
#include "tests/support/expect_error.h"

namespace tern {
namespace {

template <typename T>
std::uintptr_t address_of(const T* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

TEST(AlignedBuffer, BeginsOnACacheLine) {
  for (std::size_t size = 0; size < 200; ++size) {
    AlignedBuffer<std::uint8_t> buffer(size);
    ASSERT_EQ(buffer.size(), size);
    ASSERT_EQ(buffer.span().size(), size);
    ASSERT_EQ(address_of(buffer.data()) % 64, 0u);
    std::fill(buffer.span().begin(), buffer.span().end(), std::uint8_t{1});
  }
}

TEST(AlignedBuffer, IsEmptyByDefault) {
  const AlignedBuffer<float> buffer;
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_TRUE(buffer.span().empty());
}

TEST(HugeBuffer, IsZeroedAndWritable) {
  HugeBuffer buffer(3'000'001);
  const auto span = buffer.span();
  ASSERT_EQ(span.size(), 3'000'001u);
  EXPECT_EQ(address_of(span.data()) % 64, 0u);
  EXPECT_TRUE(std::all_of(span.begin(), span.end(), [](std::uint8_t byte) { return byte == 0; }));
  std::fill(span.begin(), span.end(), std::uint8_t{0xff});
  EXPECT_EQ(span.back(), 0xff);
}

TEST(HugeBuffer, MovesItsMemory) {
  HugeBuffer first(100);
  const std::uint8_t* data = first.span().data();
  HugeBuffer second(std::move(first));
  EXPECT_EQ(second.span().data(), data);
  HugeBuffer third;
  EXPECT_TRUE(third.span().empty());
  third = std::move(second);
  EXPECT_EQ(third.span().data(), data);
  EXPECT_EQ(third.span().size(), 100u);
}

TEST(HugeBuffer, RefusesMoreThanThereIs) {
  test::expect_error(ErrorKind::kInvalidArgument, "",
                     [] { HugeBuffer buffer(std::numeric_limits<std::size_t>::max() / 2); });
}

}  // namespace
}  // namespace tern
