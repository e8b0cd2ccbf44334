#pragma once

// Prompts by tables over tokens (the "method of the four Russians"), for any vector width. Included by the add/subtract
// kernels, each of which gives its vectors as a class L; all names are local to the including file (see kernels.h).
//
// For a group of four columns there are 81 patterns of signs. Their sums are tabulated for 32 tokens at once; then
// every row of the group costs one load and one 16-bit addition for 4 * 32 = 128 multiply-adds:
//
//     table of a group   | pattern 0: 32 x int16 | pattern 1: 32 x int16 | ... | pattern 80 |    81 x 64 B
//     pattern            (t0 + 1) + 3 (t1 + 1) + 9 (t2 + 1) + 27 (t3 + 1)
//
// Blocks of at most 16 tokens use the first half of every entry, with the class HalfTokens.
//
// A pass covers six groups, whose tables (30 KB) stay in the first cache while all rows go by.

#include <immintrin.h>

#include <cstring>

#include "kernels/layout_rows64.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kTokens = 32;                                  // of a token block
constexpr std::size_t kPassGroups = rows64::kGroupsPadding;          // 6
constexpr std::size_t kPassCols = kPassGroups * rows64::kGroupCols;  // 24
constexpr std::size_t kPatterns = 81;                                // 3^4
constexpr std::size_t kEntryBytes = kTokens * sizeof(std::int16_t);  // 64
constexpr std::size_t kPatternsBytes = kPatterns * kEntryBytes;      // 5184, the table of a group
static_assert(kPatternsBytes <= 65536, "offsets into a table are kept in 16 bits");

constexpr std::size_t kPanelBlocks = 64;  // row blocks that share a table: more amortise it, fewer stay in cache
constexpr std::size_t kPanelRows = kPanelBlocks * rows64::kRows;

// --- operand ----------------------------------------------------------------------------------------------------
//
//     operand       | token block 0 | token block 1 | ...
//     token block   | columns: (padded cols, 32 tokens) int16 | spill: one byte per pass, padded to 64 |
//
// A row's 16-bit sums may go on as long as no token's sum of |x| passes 32767, whatever the signs: `spill` tells after
// which passes they must be added to the 32-bit sums. It is set after the last pass too.

[[nodiscard]] inline std::size_t n_passes(std::size_t cols) { return rows64::n_groups(cols) / kPassGroups; }
[[nodiscard]] inline std::size_t columns_bytes(std::size_t cols) { return n_passes(cols) * kPassCols * kEntryBytes; }
[[nodiscard]] inline std::size_t token_block_bytes(std::size_t cols) {
  return columns_bytes(cols) + (n_passes(cols) + 63) / 64 * 64;
}

std::size_t prompt_operand_bytes(std::size_t n_tokens, std::size_t cols) {
  return (n_tokens + kTokens - 1) / kTokens * token_block_bytes(cols);
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

/// Decides after which passes the 16-bit sums are spilled.
inline void plan_spills(const std::int16_t* columns, std::size_t passes, std::uint8_t* spill) {
  static_assert(32767 + kPassCols * 127 <= 65535, "one more pass would overflow the 16-bit bounds");
  __m256i bound[2] = {};  // per token: sum of |x| since the last spill, <= 32767
  for (std::size_t s = 0; s < passes; ++s, columns += kPassCols * kTokens) {
    __m256i pass[2] = {};
    for (std::size_t i = 0; i < 2 * kPassCols; ++i) {
      const __m256i x = _mm256_load_si256(reinterpret_cast<const __m256i*>(columns) + i);
      pass[i % 2] = _mm256_add_epi16(pass[i % 2], _mm256_abs_epi16(x));
    }
    const __m256i sum[2] = {_mm256_add_epi16(bound[0], pass[0]), _mm256_add_epi16(bound[1], pass[1])};
    // Above 32767 is negative as int16: the sign bits of the odd bytes tell.
    const auto above = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(sum[0], sum[1]))) & 0xAAAAAAAAU;
    if (above != 0) {  // never in the first pass: 24 * 127 = 3048
      spill[s - 1] = 1;
    }
    bound[0] = above != 0 ? pass[0] : sum[0];
    bound[1] = above != 0 ? pass[1] : sum[1];
    spill[s] = s + 1 == passes;
  }
}

/// Parts share the token blocks.
void prompt_prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part, std::size_t n_parts,
                    std::uint8_t* operand) {
  const std::size_t n_blocks = (n_tokens + kTokens - 1) / kTokens;
  for (std::size_t b = n_blocks * part / n_parts; b < n_blocks * (part + 1) / n_parts; ++b) {
    const TokenTile tile = {x + b * kTokens * cols, cols, n_tokens - b * kTokens, cols};
    std::uint8_t* out = operand + b * token_block_bytes(cols);
    auto* columns = reinterpret_cast<std::int16_t*>(out);
    for (std::size_t c = 0; c < n_passes(cols) * kPassCols; c += 8) {
      for (std::size_t t = 0; t < kTokens; t += 8) {
        transpose_part(tile, t, c, columns);
      }
    }
    plan_spills(columns, n_passes(cols), out + columns_bytes(cols));
  }
}

// --- product ----------------------------------------------------------------------------------------------------

/// 16-bit sums of 16 tokens: what a class L offers, for the token blocks that fill at most half of it.
struct HalfTokens {
  __m256i v;

  static HalfTokens zero() { return {_mm256_setzero_si256()}; }
  static HalfTokens load(const std::int16_t* p) { return {_mm256_load_si256(reinterpret_cast<const __m256i*>(p))}; }
  void store(std::int16_t* p) const { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
  static HalfTokens add(HalfTokens a, HalfTokens b) { return {_mm256_add_epi16(a.v, b.v)}; }
  static HalfTokens sub(HalfTokens a, HalfTokens b) { return {_mm256_sub_epi16(a.v, b.v)}; }
  /// Adds to 16 sums of 32 bits.
  void add_to(std::int32_t* p) const {
    auto* sums = reinterpret_cast<__m256i*>(p);
    const __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(v));
    const __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(v, 1));
    _mm256_store_si256(sums, _mm256_add_epi32(_mm256_load_si256(sums), low));
    _mm256_store_si256(sums + 1, _mm256_add_epi32(_mm256_load_si256(sums + 1), high));
  }
};

/// Tables and sums of one panel of rows and one token block, all in the thread's scratch.
struct Panel {
  std::uint8_t* tables;    // (kPassGroups, kPatterns, kTokens) int16
  std::int16_t* narrow;    // (kPanelRows, kTokens): sums since the last spill
  std::int32_t* wide;      // (kPanelRows, kTokens): sums before it
  std::uint16_t* offsets;  // (kPassGroups, 64): bytes from a group's table to the entry of each row of a block
};

constexpr std::size_t kTablesScratch = (kPassGroups * kPatternsBytes + 63) / 64 * 64;
constexpr std::size_t kNarrowScratch = kPanelRows * kTokens * sizeof(std::int16_t);
constexpr std::size_t kWideScratch = kPanelRows * kTokens * sizeof(std::int32_t);
constexpr std::size_t kOffsetsScratch = kPassGroups * rows64::kRows * sizeof(std::uint16_t);

std::size_t prompt_scratch_bytes(std::size_t /*cols*/) {
  return kTablesScratch + kNarrowScratch + kWideScratch + kOffsetsScratch;
}

inline Panel panel_in(std::uint8_t* scratch) {
  std::uint8_t* narrow = scratch + kTablesScratch;
  std::uint8_t* wide = narrow + kNarrowScratch;
  return {scratch, reinterpret_cast<std::int16_t*>(narrow), reinterpret_cast<std::int32_t*>(wide),
          reinterpret_cast<std::uint16_t*>(wide + kWideScratch)};
}

/// Signs -1, 0, 1 times x, for code 0, 1, 2.
template <class L>
inline L signed_by(std::size_t code, L x) {
  return code == 0 ? L::sub(L::zero(), x) : code == 1 ? L::zero() : x;
}

/// Tabulates the 81 sums of four columns. columns: (4, kTokens).
template <class L>
void make_patterns(const std::int16_t* columns, std::uint8_t* table) {
  const L x0 = L::load(columns);
  const L x1 = L::load(columns + kTokens);
  const L x2 = L::load(columns + 2 * kTokens);
  const L x3 = L::load(columns + 3 * kTokens);
  L first[9];  // the sums of the first two columns
  for (std::size_t i = 0; i < 9; ++i) {
    first[i] = L::add(signed_by(i % 3, x0), signed_by(i / 3, x1));
  }
  for (std::size_t j = 0; j < 9; ++j) {
    const L second = L::add(signed_by(j % 3, x2), signed_by(j / 3, x3));
    for (std::size_t i = 0; i < 9; ++i, table += kEntryBytes) {
      L::add(first[i], second).store(reinterpret_cast<std::int16_t*>(table));
    }
  }
}

/// Turns the codes of one pass of a block, (6, 64) bytes of four 2-bit fields, into offsets of table entries.
inline void find_entries(const std::uint8_t* codes, std::uint16_t* offsets) {
  // Nibble (t0 + 1) | (t1 + 1) << 2 to base three, times 1 for the first two columns and times 9 for the others.
  const __m256i first = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 0, 0, 0, 0));
  const __m256i second =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 9, 18, 0, 27, 36, 45, 0, 54, 63, 72, 0, 0, 0, 0, 0));
  const __m256i nibble = _mm256_set1_epi8(15);
  for (std::size_t i = 0; i < kPassGroups * rows64::kRows; i += 32) {
    const __m256i v = _mm256_load_si256(reinterpret_cast<const __m256i*>(codes + i));
    const __m256i low = _mm256_shuffle_epi8(first, _mm256_and_si256(v, nibble));
    const __m256i high = _mm256_shuffle_epi8(second, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
    const __m256i pattern = _mm256_add_epi8(low, high);
    static_assert(kEntryBytes == 1U << 6U);
    auto* out = reinterpret_cast<__m256i*>(offsets + i);
    _mm256_store_si256(out, _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(pattern)), 6));
    _mm256_store_si256(out + 1, _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm256_extracti128_si256(pattern, 1)), 6));
  }
}

/// What a pass does with the 16-bit sums.
struct PassMode {
  bool start;  ///< they begin at zero: the pass before has spilled
  bool spill;  ///< they end up in the 32-bit sums
};

/// Adds one pass to the sums of one block's 64 rows. narrow, wide: (64, kTokens).
template <class L, bool kStart, bool kSpill>
void add_pass(const std::uint8_t* tables, const std::uint16_t* offsets, std::int16_t* narrow, std::int32_t* wide) {
  for (std::size_t r = 0; r < rows64::kRows; ++r) {
    L sum = kStart ? L::zero() : L::load(narrow + r * kTokens);
    for (std::size_t g = 0; g < kPassGroups; ++g) {
      const std::uint8_t* entry = tables + g * kPatternsBytes + offsets[g * rows64::kRows + r];
      sum = L::add(sum, L::load(reinterpret_cast<const std::int16_t*>(entry)));
    }
    if constexpr (kSpill) {
      sum.add_to(wide + r * kTokens);
    } else {
      sum.store(narrow + r * kTokens);
    }
  }
}

template <class L>
void add_pass(const Panel& panel, std::size_t block, PassMode mode) {
  std::int16_t* narrow = panel.narrow + block * rows64::kRows * kTokens;
  std::int32_t* wide = panel.wide + block * rows64::kRows * kTokens;
  const auto add = mode.start ? (mode.spill ? add_pass<L, true, true> : add_pass<L, true, false>)
                              : (mode.spill ? add_pass<L, false, true> : add_pass<L, false, false>);
  add(panel.tables, panel.offsets, narrow, wide);
}

/// Fetches the codes that a pass needs of a block ahead of time: blocks lie too far apart for the hardware to guess.
inline void prefetch_pass(const std::uint8_t* codes) {
  for (std::size_t g = 0; g < kPassGroups; ++g) {
    _mm_prefetch(codes + g * rows64::kRows, _MM_HINT_T0);
  }
}

/// Sums `n_blocks` row blocks over all columns for one token block. weights: the first of the blocks.
template <class L>
void sum_panel(const std::uint8_t* weights, const std::uint8_t* token_block, std::size_t cols, std::size_t n_blocks,
               const Panel& panel) {
  const auto* columns = reinterpret_cast<const std::int16_t*>(token_block);
  const std::uint8_t* spill = token_block + columns_bytes(cols);
  std::memset(panel.wide, 0, n_blocks * rows64::kRows * kTokens * sizeof *panel.wide);
  PassMode mode = {.start = true, .spill = false};
  for (std::size_t s = 0; s < n_passes(cols); ++s) {
    for (std::size_t g = 0; g < kPassGroups; ++g) {
      make_patterns<L>(columns + (s * kPassGroups + g) * rows64::kGroupCols * kTokens,
                       panel.tables + g * kPatternsBytes);
    }
    mode.spill = spill[s] != 0;
    const std::uint8_t* codes = weights + s * kPassGroups * rows64::kRows;
    for (std::size_t b = 0; b < n_blocks; ++b, codes += rows64::block_bytes(cols)) {
      prefetch_pass(codes + 2 * rows64::block_bytes(cols));
      find_entries(codes, panel.offsets);
      add_pass<L>(panel, b, mode);
    }
    mode.start = mode.spill;
  }
}

/// Transposes 8 rows x 8 tokens of sums. sums: (8 rows, kTokens); out: (8 tokens, `stride`).
inline void transpose_sums(const std::int32_t* sums, std::int32_t* out, std::size_t stride) {
  __m256i v[8];
  for (std::size_t r = 0; r < 8; ++r) {
    v[r] = _mm256_load_si256(reinterpret_cast<const __m256i*>(sums + r * kTokens));
  }
  // Two rounds of "interleave register i with register i + 4" transpose within the 128-bit lanes ...
  for (int round = 0; round < 2; ++round) {
    __m256i w[8];
    for (std::size_t i = 0; i < 4; ++i) {
      w[2 * i] = _mm256_unpacklo_epi32(v[i], v[i + 4]);
      w[2 * i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 4]);
    }
    std::memcpy(v, w, sizeof v);
  }
  // ... which leaves the even rows of token t in register t, its odd rows in t + 4, and token t + 4 in the high lanes.
  for (std::size_t t = 0; t < 4; ++t) {
    const __m256i low = _mm256_unpacklo_epi32(v[t], v[t + 4]);
    const __m256i high = _mm256_unpackhi_epi32(v[t], v[t + 4]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + t * stride), _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + (t + 4) * stride), _mm256_permute2x128_si256(low, high, 0x31));
  }
}

/// Hands the sums of a panel's first `n_rows` rows and `n_tokens` tokens to a sink. wide: (rows, kTokens).
inline void give_sums(const std::int32_t* wide, std::size_t row, std::size_t n_rows, std::size_t token,
                      std::size_t n_tokens, const SumSink& sink) {
  for (std::size_t r = 0; r < n_rows; r += rows64::kRows, wide += rows64::kRows * kTokens) {
    alignas(64) std::int32_t sums[kTokens * rows64::kRows];  // (kTokens, 64)
    for (std::size_t i = 0; i < rows64::kRows; i += 8) {
      for (std::size_t t = 0; t < n_tokens; t += 8) {
        transpose_sums(wide + i * kTokens + t, sums + t * rows64::kRows + i, rows64::kRows);
      }
    }
    const std::size_t n = n_rows - r < rows64::kRows ? n_rows - r : rows64::kRows;
    for (std::size_t t = 0; t < n_tokens; ++t) {
      sink.take(sink.context, token + t, row + r, n, sums + t * rows64::kRows);
    }
  }
}

/// A table is worth making for a panel of rows; tokens are cut wherever there are enough of them.
Grain prompt_grain(std::size_t /*n_tokens*/, std::size_t /*cols*/) { return {kPanelRows, kTokens}; }

template <class L>
void prompt_multiply(const TernaryProduct& p) {
  const Panel panel = panel_in(p.scratch);
  for (std::size_t row = p.row_begin; row < p.row_end; row += kPanelRows) {
    const std::size_t n_rows = p.row_end - row < kPanelRows ? p.row_end - row : kPanelRows;
    const std::size_t n_blocks = (n_rows + rows64::kRows - 1) / rows64::kRows;
    const std::uint8_t* weights = p.weights + row / rows64::kRows * rows64::block_bytes(p.cols);
    for (std::size_t t = p.token_begin; t < p.token_end; t += kTokens) {
      const std::size_t n_tokens = p.token_end - t < kTokens ? p.token_end - t : kTokens;
      const auto sum = n_tokens <= kTokens / 2 ? sum_panel<HalfTokens> : sum_panel<L>;
      sum(weights, p.operand + t / kTokens * token_block_bytes(p.cols), p.cols, n_blocks, panel);
      give_sums(panel.wide, row, n_rows, t, n_tokens, p.sink);
    }
  }
}

}  // namespace
}  // namespace tern::kernels
