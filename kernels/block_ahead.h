#pragma once

// Fetching weights ahead of a kernel that reads one block of rows after the other. Included by kernels for x86; all
// names are local to the including file (see kernels.h).

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace tern::kernels {
namespace {

/// Fetches the next block into the second cache while this one is computed. It is read as several runs side by side:
/// the memory delivers them sooner than one.
class BlockAhead {
 public:
  static constexpr std::size_t kLineBytes = 64;
  static constexpr std::size_t kRuns = 8;

  BlockAhead(const std::uint8_t* block, std::size_t bytes)
      : next_(block), run_bytes_(bytes / kRuns / kLineBytes * kLineBytes) {}

  /// The next line of every run. What lies behind the weights may be asked for, too: a prefetch does no harm.
  void fetch() {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kRuns; ++i) _mm_prefetch(next_ + i * run_bytes_, _MM_HINT_T1);
    next_ += kLineBytes;
  }

 private:
  const std::uint8_t* next_;
  std::size_t run_bytes_;
};

}  // namespace
}  // namespace tern::kernels
