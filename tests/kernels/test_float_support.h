#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/dispatch.h"
#include "tests/kernels/guarded_array.h"

/// Inputs of the tests of the float kernels, in memory that faults when a kernel leaves it.
namespace tern::kernels::test {

/// What the numbers of a test look like.
enum class Kind { kOrdinary, kLarge, kTiny, kSpecial };
inline constexpr Kind kAllKinds[] = {Kind::kOrdinary, Kind::kLarge, Kind::kTiny, Kind::kSpecial};

inline std::vector<float> make_floats(std::size_t n, Kind kind, unsigned seed) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kSpecials[] = {0.0f,    -0.0f,    kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                                 1e-42f,  -1e-45f,  3e38f,     -3e38f,     88.8f,
                                 -103.9f, 0x1p-126f};
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 3.0f);
  std::vector<float> values(n);
  for (float& value : values) {
    value = normal(random);
    if (kind == Kind::kLarge) value *= 1e18f;  // squares near the end of the range
    if (kind == Kind::kTiny) value *= 1e-39f;  // subnormals
    if (kind == Kind::kSpecial && random() % 5 == 0) value = kSpecials[random() % std::size(kSpecials)];
  }
  return values;
}

/// The tables that this machine can run, best first, the scalar one last.
inline std::vector<const FloatKernels*> tables_here() { return runnable_float_kernels(usable_isa()); }

/// A table's name as a test may bear it.
inline std::string test_name(std::string name) {
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

/// u: half the distance from 1 to the next float, the largest relative error of one rounding.
inline constexpr double kRoundoff = 0x1p-24;

/// Second-order terms of error bounds, which are derived to first order: (1 + u)^k - 1 < 1.01 k u for k < 10^5.
inline constexpr double kSlack = 1.01;

}  // namespace tern::kernels::test
