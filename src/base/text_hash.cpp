#include "src/base/text_hash.h"

#include <cstring>
#include <random>

namespace tern {
namespace {

std::uint64_t draw_seed() noexcept {
  try {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
  } catch (...) {  // no source of randomness: where the program was loaded still varies
    static const char here = 0;
    return mix_bits(reinterpret_cast<std::uintptr_t>(&here));
  }
}

template <typename Word>
std::uint64_t load(const char* bytes) noexcept {
  Word word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// Up to 8 bytes as one number; texts of the same length give different numbers.
std::uint64_t load_at_most_8(const char* bytes, std::size_t n) noexcept {
  if (n == 8) return load<std::uint64_t>(bytes);
  if (n >= 4) return load<std::uint32_t>(bytes) | load<std::uint32_t>(bytes + n - 4) << 32;
  if (n == 0) return 0;
  return load<std::uint8_t>(bytes) | load<std::uint8_t>(bytes + n / 2) << 8 | load<std::uint8_t>(bytes + n - 1) << 16;
}

}  // namespace

std::uint64_t hash_seed() noexcept {
  static const std::uint64_t seed = draw_seed();
  return seed;
}

std::uint64_t hash_text(std::string_view text) noexcept {
  std::uint64_t hash = hash_seed() ^ text.size();
  while (text.size() > kInjectiveHashBytes) {
    hash = mix_bits(hash ^ load<std::uint64_t>(text.data()));
    text.remove_prefix(8);
  }
  return mix_bits(hash ^ load_at_most_8(text.data(), text.size()));
}

}  // namespace tern
