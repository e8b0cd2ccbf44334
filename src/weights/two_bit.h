#pragma once

#include <cstddef>
#include <cstdint>

namespace tern::weights {

/// Spreads bytes that hold four 2-bit codes each, in the order that I2_S and TQ2_0 share: all codes of one bit
/// position first, n_bytes of them, then those of the next position.
///
///   codes[g * n_bytes + m] = bits of bytes[m] at  2g (kLowFirst)  or  6 - 2g (kHighFirst),  g = 0 .. 3
enum class BitOrder { kLowFirst, kHighFirst };

/// Decodes n_bytes to 4 * n_bytes codes and returns a byte that is not zero when one of them was 3.
template <BitOrder kOrder, std::size_t n_bytes>
[[nodiscard]] inline std::uint8_t spread_codes(const std::uint8_t* bytes, std::uint8_t* codes) noexcept {
  std::uint8_t own[n_bytes];  // the compiler knows that writing codes does not change these, so it vectorises
  std::uint8_t threes = 0;    // a code is 3 when both its bits are set
  for (std::size_t m = 0; m < n_bytes; ++m) own[m] = bytes[m];
  for (std::size_t m = 0; m < n_bytes; ++m) threes |= static_cast<std::uint8_t>(own[m] & own[m] >> 1 & 0x55);
  for (unsigned step = 0; step < 4; ++step) {  // from the lowest bits up
    const unsigned group = kOrder == BitOrder::kLowFirst ? step : 3 - step;
    for (std::size_t m = 0; m < n_bytes; ++m) {
      codes[group * n_bytes + m] = own[m] & 3;
      own[m] = static_cast<std::uint8_t>(own[m] >> 2);
    }
  }
  return threes;
}

/// The reverse: packs 4 * n_bytes codes 0, 1, 2.
template <BitOrder kOrder, std::size_t n_bytes>
inline void gather_codes(const std::uint8_t* codes, std::uint8_t* bytes) noexcept {
  constexpr bool kLow = kOrder == BitOrder::kLowFirst;
  for (std::size_t m = 0; m < n_bytes; ++m) {
    unsigned byte = 0;
    for (unsigned group = 0; group < 4; ++group) {
      byte |= static_cast<unsigned>(codes[group * n_bytes + m]) << (kLow ? 2 * group : 6 - 2 * group);
    }
    bytes[m] = static_cast<std::uint8_t>(byte);
  }
}

}  // namespace tern::weights
