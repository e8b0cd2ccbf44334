#pragma once

// What addsub_prompt.h needs to know of the layout "rows64". Included by the add/subtract kernels; all names are local
// to the including file (see kernels.h).

#include "kernels/addsub_prompt.h"
#include "kernels/layout_rows64.h"

namespace tern::kernels {
namespace {

/// A quad is a group of the layout. V: vectors of bytes.
template <class V>
struct Rows64Codes {
  static constexpr std::size_t kPassQuads = rows64::kGroupsPadding;  // 6
  static constexpr std::size_t kPassBytes = kPassQuads * rows64::kRows;
  static_assert(rows64::kRows == kRows && rows64::kGroupCols == 4);

  static std::size_t n_passes(std::size_t cols) { return rows64::n_groups(cols) / kPassQuads; }
  static std::size_t block_bytes(std::size_t cols) { return rows64::block_bytes(cols); }
  static std::size_t padded_cols(std::size_t cols) { return rows64::n_groups(cols) * rows64::kGroupCols; }
  static Quad quad(std::size_t /*cols*/, std::size_t pass, std::size_t i) {
    return {(pass * kPassQuads + i) * rows64::kGroupCols, 1};
  }

  /// Patterns of one group: a byte of four 2-bit codes to base three.
  static V patterns(const std::uint8_t* codes) {
    // Nibble (t0 + 1) | (t1 + 1) << 2 to base three, times 1 for the first two columns and times 9 for the others.
    alignas(16) static constexpr std::uint8_t kFirst[16] = {0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8};
    alignas(16) static constexpr std::uint8_t kSecond[16] = {0, 9, 18, 0, 27, 36, 45, 0, 54, 63, 72};
    const V v = V::load(codes);
    return V::add8(V::look_up(kFirst, V::low_nibbles(v)), V::look_up(kSecond, V::high_nibbles(v))).for_interleaving();
  }

  static void find_entries(const std::uint8_t* codes, Entries& entries) {
    for (std::size_t i = 0; i < kRows; i += V::kBytes) {
      V quads[kPassQuads];
      for (std::size_t g = 0; g < kPassQuads; ++g) quads[g] = patterns(codes + g * rows64::kRows + i);
      store_fours(quads, entries.fours + i);
      store_twos(quads[4], quads[5], entries.rest + i);
    }
  }
};

}  // namespace
}  // namespace tern::kernels
