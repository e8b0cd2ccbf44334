#pragma once

// Fetching weights ahead of a kernel that reads one block of rows after the other. Included by those kernels; all
// names are local to the including file (see kernels.h).

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
    for (std::size_t i = 0; i < kRuns; ++i) __builtin_prefetch(next_ + i * run_bytes_, 0, 2);
    next_ += kLineBytes;
  }

 private:
  const std::uint8_t* next_;
  std::size_t run_bytes_;
};

}  // namespace
}  // namespace tern::kernels
