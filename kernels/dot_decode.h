#pragma once

// Decoding from the layout "tile16x4", for kernels whose registers hold the sums of one tile. Included by those
// kernels; all names are local to the including file (see kernels.h).

#include "kernels/dot_loops.h"

namespace tern::kernels {
namespace {

using tile16x4::kPlanes;
using tile16x4::kStepBytes;
using tile16x4::kStepCols;
using tile16x4::kTileBytes;
using tile16x4::kTileRows;

constexpr std::size_t kNearBytes = 1024;  // bytes ahead, into the first cache

/// One token: codes are multiplied as they are decoded. The sums of a block would not fit into registers, so tiles take
/// turns. A kernel supplies the sums of one:
///
///     Sums::kMaxSteps           of a turn: what lanes can hold, of weights that stay in the first cache
///     Sums::columns(x)          the activations of a step
///     sums.add(tile, columns)   adds the products of one step
///     sums.add_to(p)            adds the sums to those at p, (16)
template <typename Sums>
struct DecodeTile : PackedStrip<Tile16x4Columns, 1> {
  template <std::size_t kN>
  static void add(const std::uint8_t* weights, const std::uint8_t* x, std::size_t cols, BlockAhead& ahead,
                  std::int32_t* sums) {
    const std::size_t n_steps = tile16x4::n_steps(cols);
    for (std::size_t s = 0; s < n_steps; s += Sums::kMaxSteps) {
      const std::size_t n = n_steps - s < Sums::kMaxSteps ? n_steps - s : Sums::kMaxSteps;
      for (std::size_t i = 0; i < tile16x4::kTiles; ++i) {
        add_steps(weights + s * kStepBytes + i * kTileBytes, x + s * kStepCols, n, ahead, sums + i * kTileRows);
      }
    }
  }

 private:
  /// sums: (16), of one tile
  static void add_steps(const std::uint8_t* weights, const std::uint8_t* x, std::size_t n_steps, BlockAhead& ahead,
                        std::int32_t* sums) {
    Sums tile;
    for (std::size_t s = 0; s < n_steps; ++s, weights += kStepBytes, x += kStepCols) {
      const auto columns = Sums::columns(x);
      if (s % BlockAhead::kRuns == 0) ahead.fetch();  // as many lines as are read
      __builtin_prefetch(weights + kNearBytes, 0, 3);
      tile.add(weights, columns);
    }
    tile.add_to(sums);
  }
};

}  // namespace
}  // namespace tern::kernels
