#pragma once

// Fetching weights ahead of a kernel that reads one block of rows after the other. Included by those kernels; all
// names are local to the including file (see kernels.h).

#include "kernels/weights_at.h"

namespace tern::kernels {
namespace {

/// Fetches a block into the second cache while another one is computed: the next, or one of those that follow where
/// they are short. It is read as several runs side by side: the memory delivers them sooner than one.
class BlockAhead {
 public:
  static constexpr std::size_t kLineBytes = 64;
  static constexpr std::size_t kRuns = 8;
  static constexpr std::size_t kLeastAhead = 16 * 1024;  // bytes

  /// block: of rows, of which part `part` of `n_parts` is computed
  BlockAhead(const std::uint8_t* block, std::size_t bytes, std::size_t part = 0, std::size_t n_parts = 1)
      : run_bytes_((bytes / kLineBytes + kRuns - 1) / kRuns * kLineBytes) {
    next_ = block + (kLeastAhead + bytes - 1) / bytes * bytes + run_bytes_ * part / n_parts / kLineBytes * kLineBytes;
  }

  /// The next line of every run. What lies behind the weights may be asked for, too: a prefetch does no harm.
  void fetch() {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kRuns; ++i) __builtin_prefetch(next_ + i * run_bytes_, 0, 2);
    next_ += kLineBytes;
  }

 private:
  const std::uint8_t* next_;
  std::size_t run_bytes_;
};

/// For the weights_at() of a product: those of all blocks of columns are one block to be fetched, as they lie.
[[nodiscard]] inline BlockAhead ahead_of(const TernaryProduct& p, std::size_t row_block, std::size_t block_bytes) {
  return {p.weights + row_block * p.n_col_blocks * block_bytes, p.n_col_blocks * block_bytes, p.col_block,
          p.n_col_blocks};
}

}  // namespace
}  // namespace tern::kernels
