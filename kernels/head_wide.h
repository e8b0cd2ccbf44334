#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/head.h"

/// Hidden states for instruction sets that multiply 16-bit numbers and add neighbours into 32-bit lanes. Part of
/// head_impl.h's vocabulary.
namespace tern::kernels {
namespace {

/// `n_lanes`: 32-bit lanes of a sum.
template <std::size_t n_lanes>
struct HeadWide {
  // In a segment a lane gets every n_lanes-th product.
  static constexpr std::size_t kSegmentCols = 512 * n_lanes;
  static_assert(255UL * kHeadMaxHidden * (kSegmentCols / n_lanes) < (1UL << 31), "a lane would overflow: 2.13e9");

  template <std::size_t n>
  static void pack(const std::int32_t (&x)[n], std::uint8_t* out) {
    for (std::size_t i = 0; i < n; ++i) {
      const auto wide = static_cast<std::int16_t>(x[i]);
      std::memcpy(out + sizeof wide * i, &wide, sizeof wide);
    }
  }

  static std::int64_t sum_lanes(const std::int32_t (&lanes)[n_lanes]) {
    std::int64_t total = 0;
    for (const std::int32_t lane : lanes) total += lane;
    return total;
  }
};

}  // namespace
}  // namespace tern::kernels
