#pragma once

#include "kernels/kernels.h"

/// The layout of the add/subtract kernels: 64 rows side by side, one byte each, four columns deep.
///
///     block   | group 0 : 64 bytes | group 1 : 64 bytes | ...          group g holds the columns 4g .. 4g + 3
///     group   | row 0 | row 1 | ... | row 63 |                         one byte per row
///     byte    bits 1-0: column 4g   3-2: 4g + 1   5-4: 4g + 2   7-6: 4g + 3
///
/// One vector load thus brings 64 (or 32) rows that all meet the same four activations, so that a sum of activations,
/// once tabulated, serves every lane. Groups are padded to a multiple of six with zeros, which leaves neither the
/// decode loop (three groups a step) nor the prompt loop (six groups a pass) a remainder.
namespace tern::kernels {

extern const TernaryLayout kRows64;

namespace rows64 {

inline constexpr std::size_t kRows = 64;      // rows of a block; also the bytes of a group
inline constexpr std::size_t kGroupCols = 4;  // columns of a group
inline constexpr std::size_t kGroupsPadding = 6;

// `static`, as everything that files with their own instruction sets include: a shared inline function could be
// emitted with AVX-512 instructions and then be linked into code for every machine.
[[nodiscard]] static constexpr std::size_t n_groups(std::size_t cols) {
  constexpr std::size_t kColsPadding = kGroupCols * kGroupsPadding;
  return (cols + kColsPadding - 1) / kColsPadding * kGroupsPadding;
}
[[nodiscard]] static constexpr std::size_t block_bytes(std::size_t cols) { return n_groups(cols) * kRows; }

}  // namespace rows64
}  // namespace tern::kernels
