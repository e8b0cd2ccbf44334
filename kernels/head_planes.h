#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/head.h"

/// Hidden states for instruction sets that multiply bytes: x = 128 * high + low, two planes of signed bytes, each with
/// its own 32-bit sums. Part of head_impl.h's vocabulary.
namespace tern::kernels {
namespace {

struct HeadPlanes {
  static constexpr std::size_t kSegmentCols = kHeadMaxCols;
  static_assert(255 * 127 * kSegmentCols < (std::size_t{1} << 31), "the whole sum of a plane would overflow: 2.12e9");
  static_assert((kHeadMaxHidden + 64) >> 7 == 127 && (-kHeadMaxHidden + 64) >> 7 == -127, "|high| <= 127");

  /// | high of n columns | low of n columns |, low in [-64, 63]
  template <std::size_t n>
  static void pack(const std::int32_t (&x)[n], std::uint8_t* out) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::int32_t high = (x[i] + 64) >> 7;
      out[i] = static_cast<std::uint8_t>(high);
      out[n + i] = static_cast<std::uint8_t>(x[i] - 128 * high);
    }
  }
};

}  // namespace
}  // namespace tern::kernels
