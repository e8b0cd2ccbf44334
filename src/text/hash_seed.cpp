#include <random>

#include "src/text/flat_map.h"

namespace tern::text {
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

}  // namespace

std::uint64_t hash_seed() noexcept {
  static const std::uint64_t seed = draw_seed();
  return seed;
}

}  // namespace tern::text
