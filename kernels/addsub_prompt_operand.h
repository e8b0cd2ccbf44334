#pragma once

// Activations as the prompt kernels want them. Included by addsub_prompt.h, which says what the classes L and Codes
// are; all names are local to the including file (see kernels.h).
//
//     operand       | token block 0 | token block 1 | ...
//     token block   | columns: (padded cols, 32 tokens) int16 | spill: one byte per pass, padded to 64 |
//
// A row's 16-bit sums may go on as long as no token's sum of |x| passes 32767, whatever the signs: `spill` tells before
// which passes they must be moved to the 32-bit sums.

#include <cstring>

#include "kernels/kernels.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kTokens = 32;                                  // of a token block
constexpr std::size_t kEntryBytes = kTokens * sizeof(std::int16_t);  // 64, of a column or table

/// Columns first, first + stride, ... first + 3 * stride.
struct Quad {
  std::size_t first, stride;
};

template <class Codes>
[[nodiscard]] std::size_t columns_bytes(std::size_t cols) {
  return (Codes::padded_cols(cols) + 7) / 8 * 8 * kEntryBytes;
}
template <class Codes>
[[nodiscard]] std::size_t token_block_bytes(std::size_t cols) {
  return columns_bytes<Codes>(cols) + (Codes::n_passes(cols) + 63) / 64 * 64;
}

template <class Codes>
std::size_t prompt_operand_bytes(std::size_t n_tokens, std::size_t cols) {
  return (n_tokens + kTokens - 1) / kTokens * token_block_bytes<Codes>(cols);
}

/// A part of x, (n_tokens, cols) with `stride` bytes from token to token; what lies beyond counts as zero.
struct TokenTile {
  const std::int8_t* x;
  std::size_t stride;
  std::size_t n_tokens;
  std::size_t cols;
};

/// Transposes tokens [t, t + 8) and columns [c, c + 8) of a tile, which may reach beyond it.
template <class L>
void transpose_part(const TokenTile& tile, std::size_t t, std::size_t c, std::int16_t* columns) {
  std::int16_t* out = columns + c * kTokens + t;
  if (t + 8 <= tile.n_tokens && c + 8 <= tile.cols) {
    L::Transposes::tokens(tile.x + t * tile.stride + c, tile.stride, out);
    return;
  }
  std::int8_t part[8 * 8] = {};
  for (std::size_t i = 0; t + i < tile.n_tokens && i < 8; ++i) {
    for (std::size_t j = 0; c + j < tile.cols && j < 8; ++j) {
      part[i * 8 + j] = tile.x[(t + i) * tile.stride + c + j];
    }
  }
  L::Transposes::tokens(part, 8, out);
}

/// Sums |x| over the columns of a pass.
template <class L, class Codes>
L sum_magnitudes(const std::int16_t* columns, std::size_t cols, std::size_t pass) {
  L sum = L::zero();
  for (std::size_t i = 0; i < Codes::kPassQuads; ++i) {
    const Quad quad = Codes::quad(cols, pass, i);
    for (std::size_t c = 0; c < 4; ++c) {
      sum = L::add(sum, L::magnitude(L::load(columns + (quad.first + c * quad.stride) * kTokens)));
    }
  }
  return sum;
}

/// Decides before which passes the 16-bit sums are spilled.
template <class L, class Codes>
void plan_spills(const std::int16_t* columns, std::size_t cols, std::uint8_t* spill) {
  static_assert(L::kSize == kTokens);
  static_assert(32767 + Codes::kPassQuads * 4 * 127 <= 65535, "one more pass would overflow the 16-bit bounds");
  L bound = L::zero();  // per token: sum of |x| since the last spill, <= 32767
  for (std::size_t s = 0; s < Codes::n_passes(cols); ++s) {
    const L pass = sum_magnitudes<L, Codes>(columns, cols, s);
    const L sum = L::add(bound, pass);
    const bool above = L::any_negative(sum);  // 32768 and more, as int16
    spill[s] = above;                         // never before the first pass: 24 * 127 = 3048
    bound = above ? pass : sum;
  }
}

/// Parts share the token blocks.
template <class L, class Codes>
void prompt_prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part, std::size_t n_parts,
                    std::uint8_t* operand) {
  const std::size_t n_blocks = (n_tokens + kTokens - 1) / kTokens;
  for (std::size_t b = n_blocks * part / n_parts; b < n_blocks * (part + 1) / n_parts; ++b) {
    const TokenTile tile = {x + b * kTokens * cols, cols, n_tokens - b * kTokens, cols};
    std::uint8_t* out = operand + b * token_block_bytes<Codes>(cols);
    auto* columns = reinterpret_cast<std::int16_t*>(out);
    for (std::size_t c = 0; c < Codes::padded_cols(cols); c += 8) {
      for (std::size_t t = 0; t < kTokens; t += 8) {
        transpose_part<L>(tile, t, c, columns);
      }
    }
    plan_spills<L, Codes>(columns, cols, out + columns_bytes<Codes>(cols));
  }
}

}  // namespace
}  // namespace tern::kernels
