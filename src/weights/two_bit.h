#pragma once

#include <cstddef>
#include <cstdint>

namespace tern::weights {

/// Spreads bytes that hold four 2-bit codes each, in the order that I2_S and TQ2_0 share: all codes of one bit
/// position first, n_bytes of them, then those of the next position.
///
///   codes[g * n_bytes + m] = bits of bytes[m] at  2g (kLowFirst)  or  6 - 2g (kHighFirst),  g = 0 .. 3
enum class BitOrder { kLowFirst, kHighFirst };

template <BitOrder kOrder>
[[nodiscard]] constexpr unsigned shift_of_group(unsigned group) noexcept {
  return kOrder == BitOrder::kLowFirst ? 2 * group : 6 - 2 * group;
}

/// Decodes n_bytes to 4 * n_bytes codes and returns a byte that is not zero when one of them was 3.
template <BitOrder kOrder, std::size_t n_bytes>
[[nodiscard]] inline std::uint8_t spread_codes(const std::uint8_t* bytes, std::uint8_t* codes) noexcept {
  for (unsigned group = 0; group < 4; ++group) {
    const unsigned shift = shift_of_group<kOrder>(group);
    for (std::size_t m = 0; m < n_bytes; ++m) {
      codes[group * n_bytes + m] = static_cast<std::uint8_t>(bytes[m] >> shift & 3);
    }
  }
  std::uint8_t threes = 0;  // a code is 3 when both its bits are set
  for (std::size_t m = 0; m < n_bytes; ++m) threes |= static_cast<std::uint8_t>(bytes[m] & bytes[m] >> 1 & 0x55);
  return threes;
}

}  // namespace tern::weights
