#pragma once

// Where a product finds its weights. Included by kernels; all names are local to the including file (see kernels.h).

#include "kernels/kernels.h"

namespace tern::kernels {
namespace {

/// The weights of a block of rows. block_bytes: of one block of rows and of columns
[[nodiscard]] inline const std::uint8_t* weights_at(const TernaryProduct& p, std::size_t row_block,
                                                    std::size_t block_bytes) {
  return p.weights + (row_block * p.n_col_blocks + p.col_block) * block_bytes;
}

}  // namespace
}  // namespace tern::kernels
