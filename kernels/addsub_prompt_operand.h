#pragma once

// Activations as the prompt kernels want them. Included by addsub_prompt.h, which says what a class Codes is; all names
// are local to the including file (see kernels.h).
//
//     operand       | token block 0 | token block 1 | ...
//     token block   | columns: (padded cols, 32 tokens) int16 | spill: one byte per pass, padded to 64 |
//
// A row's 16-bit sums may go on as long as no token's sum of |x| passes 32767, whatever the signs: `spill` tells before
// which passes they must be moved to the 32-bit sums.

#include <immintrin.h>

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

/// Transposes 8 tokens x 8 columns, `stride` bytes from token to token, to int16 (8 columns, kTokens).
inline void transpose_tokens(const std::int8_t* x, std::size_t stride, std::int16_t* columns) {
  __m128i v[8];
  for (std::size_t t = 0; t < 8; ++t) {
    v[t] = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(x + t * stride)));
  }
  // Three rounds of "interleave register i with register i + 4" transpose 8 x 8.
  for (int round = 0; round < 3; ++round) {
    __m128i w[8];
    for (std::size_t i = 0; i < 4; ++i) {
      w[2 * i] = _mm_unpacklo_epi16(v[i], v[i + 4]);
      w[2 * i + 1] = _mm_unpackhi_epi16(v[i], v[i + 4]);
    }
    std::memcpy(v, w, sizeof v);
  }
  for (std::size_t c = 0; c < 8; ++c) {
    _mm_store_si128(reinterpret_cast<__m128i*>(columns + c * kTokens), v[c]);
  }
}

/// A part of x, (n_tokens, cols) with `stride` bytes from token to token; what lies beyond counts as zero.
struct TokenTile {
  const std::int8_t* x;
  std::size_t stride;
  std::size_t n_tokens;
  std::size_t cols;
};

/// Transposes tokens [t, t + 8) and columns [c, c + 8) of a tile, which may reach beyond it.
inline void transpose_part(const TokenTile& tile, std::size_t t, std::size_t c, std::int16_t* columns) {
  std::int16_t* out = columns + c * kTokens + t;
  if (t + 8 <= tile.n_tokens && c + 8 <= tile.cols) {
    transpose_tokens(tile.x + t * tile.stride + c, tile.stride, out);
    return;
  }
  std::int8_t part[8 * 8] = {};
  for (std::size_t i = 0; t + i < tile.n_tokens && i < 8; ++i) {
    for (std::size_t j = 0; c + j < tile.cols && j < 8; ++j) {
      part[i * 8 + j] = tile.x[(t + i) * tile.stride + c + j];
    }
  }
  transpose_tokens(part, 8, out);
}

/// Sums |x| over the columns of a pass. sums: (2), 16 tokens each.
template <class Codes>
void sum_magnitudes(const std::int16_t* columns, std::size_t cols, std::size_t pass, __m256i* sums) {
  sums[0] = sums[1] = _mm256_setzero_si256();
  for (std::size_t i = 0; i < Codes::kPassQuads; ++i) {
    const Quad quad = Codes::quad(cols, pass, i);
    for (std::size_t c = 0; c < 4; ++c) {
      const auto* x = reinterpret_cast<const __m256i*>(columns + (quad.first + c * quad.stride) * kTokens);
      sums[0] = _mm256_add_epi16(sums[0], _mm256_abs_epi16(_mm256_load_si256(x)));
      sums[1] = _mm256_add_epi16(sums[1], _mm256_abs_epi16(_mm256_load_si256(x + 1)));
    }
  }
}

/// Decides before which passes the 16-bit sums are spilled.
template <class Codes>
void plan_spills(const std::int16_t* columns, std::size_t cols, std::uint8_t* spill) {
  static_assert(32767 + Codes::kPassQuads * 4 * 127 <= 65535, "one more pass would overflow the 16-bit bounds");
  __m256i bound[2] = {};  // per token: sum of |x| since the last spill, <= 32767
  for (std::size_t s = 0; s < Codes::n_passes(cols); ++s) {
    __m256i pass[2];
    sum_magnitudes<Codes>(columns, cols, s, pass);
    const __m256i sum[2] = {_mm256_add_epi16(bound[0], pass[0]), _mm256_add_epi16(bound[1], pass[1])};
    // Above 32767 is negative as int16: the sign bits of the odd bytes tell.
    const auto above = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(sum[0], sum[1]))) & 0xAAAAAAAAU;
    spill[s] = above != 0;  // never before the first pass: 24 * 127 = 3048
    bound[0] = above != 0 ? pass[0] : sum[0];
    bound[1] = above != 0 ? pass[1] : sum[1];
  }
}

/// Parts share the token blocks.
template <class Codes>
void prompt_prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part, std::size_t n_parts,
                    std::uint8_t* operand) {
  const std::size_t n_blocks = (n_tokens + kTokens - 1) / kTokens;
  for (std::size_t b = n_blocks * part / n_parts; b < n_blocks * (part + 1) / n_parts; ++b) {
    const TokenTile tile = {x + b * kTokens * cols, cols, n_tokens - b * kTokens, cols};
    std::uint8_t* out = operand + b * token_block_bytes<Codes>(cols);
    auto* columns = reinterpret_cast<std::int16_t*>(out);
    for (std::size_t c = 0; c < Codes::padded_cols(cols); c += 8) {
      for (std::size_t t = 0; t < kTokens; t += 8) {
        transpose_part(tile, t, c, columns);
      }
    }
    plan_spills<Codes>(columns, cols, out + columns_bytes<Codes>(cols));
  }
}

}  // namespace
}  // namespace tern::kernels
