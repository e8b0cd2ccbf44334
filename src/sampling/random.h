#pragma once

#include <cstdint>

namespace tern::sampling {

/// SplitMix64: a counter and a bijective mix of it. The same numbers on every machine, which the distributions of the
/// standard library do not promise.
///
/// Source    Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", figure 16
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : counter_(seed) {}

  [[nodiscard]] std::uint64_t next() noexcept {
    counter_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = counter_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }

  /// In [0, 1), a multiple of 2^-53.
  [[nodiscard]] double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t counter_;
};

}  // namespace tern::sampling
