#pragma once

#include "kernels/kernels.h"

/// The layout of the dot-product kernels: tiles of 16 rows x 4 bytes, as `vpdpbusd` and `vpmaddubsw` want them.
///
///     block   | step 0 : 256 bytes | step 1 : 256 bytes | ...          step v holds the columns 16v .. 16v + 15
///     step    | tile: rows 0-15 | rows 16-31 | rows 32-47 | rows 48-63 |
///     tile    | row 0: bytes 0 1 2 3 | row 1: bytes 0 1 2 3 | ... | row 15 |
///     byte i  bits 1-0: column 16v + i   3-2: 16v + 4 + i   5-4: 16v + 8 + i   7-6: 16v + 12 + i
///
/// Masking a tile for one of the four bit fields ("plane" j) leaves, in every row's 32-bit lane, the codes of the four
/// consecutive columns 16v + 4j .. 16v + 4j + 3: one broadcast of four activations meets them all.
namespace tern::kernels {

extern const TernaryLayout kTile16x4;

namespace tile16x4 {

inline constexpr std::size_t kTileRows = 16;
inline constexpr std::size_t kTileBytes = 64;
inline constexpr std::size_t kTiles = 4;                  // tiles of a step, one below the other
inline constexpr std::size_t kRows = kTiles * kTileRows;  // rows of a block
inline constexpr std::size_t kStepBytes = kTiles * kTileBytes;
inline constexpr std::size_t kStepCols = 16;
inline constexpr std::size_t kPlanes = 4;     // bit fields of a byte
inline constexpr std::size_t kPlaneCols = 4;  // columns of a plane; the bytes of a 32-bit lane

// `static`: see layout_rows64.h.
[[nodiscard]] static constexpr std::size_t n_steps(std::size_t cols) { return (cols + kStepCols - 1) / kStepCols; }
[[nodiscard]] static constexpr std::size_t padded_cols(std::size_t cols) { return n_steps(cols) * kStepCols; }
[[nodiscard]] static constexpr std::size_t block_bytes(std::size_t cols) { return n_steps(cols) * kStepBytes; }

}  // namespace tile16x4
}  // namespace tern::kernels
