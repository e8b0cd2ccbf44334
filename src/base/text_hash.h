#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tern {

/// Spreads the bits of a key over the whole word, the upper half best.
[[nodiscard]] constexpr std::uint64_t mix_bits(std::uint64_t x) noexcept {
  x *= 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio: Fibonacci hashing, Knuth, TAOCP volume 3, 6.4
  x ^= x >> 32;
  return x * 0xD6E8FEB86659FD93u;  // any odd number with evenly spread bits
}

/// A number that differs from process to process. Mixed into every hash, it keeps a hostile file from choosing texts
/// that all land in one slot. No result depends on it.
[[nodiscard]] std::uint64_t hash_seed() noexcept;

/// Different texts of the same size, of at most so many bytes, always differ in their hash: mix_bits can be undone.
inline constexpr std::size_t kInjectiveHashBytes = 8;
[[nodiscard]] std::uint64_t hash_text(std::string_view text) noexcept;

/// The hash of every container whose keys a file chooses.
struct TextHash {
  [[nodiscard]] std::size_t operator()(std::string_view text) const noexcept { return hash_text(text); }
};

}  // namespace tern
