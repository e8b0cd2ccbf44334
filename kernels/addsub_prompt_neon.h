#pragma once

// Prompts by tables over tokens (the "method of the four Russians") for NEON. Included by addsub_neon.cpp; all names
// are local to that file (see kernels.h).
//
// For a group of four columns there are 81 patterns of signs. Their sums are tabulated for 8, 16 or 32 tokens at once,
// whatever a token block holds; then every row of the group costs a load and a 16-bit addition for each 8 tokens:
//
//     table of a group   | pattern 0: 8, 16 or 32 x int16 | pattern 1 | ... | pattern 80 |    at most 81 x 64 B
//     pattern            (t0 + 1) + 3 (t1 + 1) + 9 (t2 + 1) + 27 (t3 + 1)
//
// A pass covers six groups, whose tables (at most 30 KB) stay in the first cache while all rows go by.

#include <arm_neon.h>

#include <cstring>

#include "kernels/layout_rows64.h"
#include "kernels/weights_at.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kTokens = 32;                                  // of a token block
constexpr std::size_t kQuadLanes = 4;                                // 32-bit lanes of a register
constexpr std::size_t kLanes = 8;                                    // 16-bit lanes of a register, a token each
constexpr std::size_t kPassGroups = rows64::kGroupsPadding;          // 6
constexpr std::size_t kPassCols = kPassGroups * rows64::kGroupCols;  // 24
constexpr std::size_t kPatterns = 81;                                // 3^4
static_assert(kPassCols % kLanes == 0, "columns are transposed eight at a time");

constexpr std::size_t kPanelBlocks = 32;  // row blocks that share a table: more amortise it, fewer stay in cache
constexpr std::size_t kPanelRows = kPanelBlocks * rows64::kRows;

// --- operand ----------------------------------------------------------------------------------------------------
//
//     operand       | token block 0 | token block 1 | ...
//     token block   | columns: (padded cols, 32 tokens) int16 | spill: one byte per pass, padded to 64 |
//
// A row's 16-bit sums may go on as long as no token's sum of |x| passes 32767, whatever the signs: `spill` tells after
// which passes they must be added to the 32-bit sums. It is set after the last pass too.

constexpr std::size_t kColumnBytes = kTokens * sizeof(std::int16_t);  // 64

[[nodiscard]] inline std::size_t n_passes(std::size_t cols) { return rows64::n_groups(cols) / kPassGroups; }
[[nodiscard]] inline std::size_t columns_bytes(std::size_t cols) { return n_passes(cols) * kPassCols * kColumnBytes; }
[[nodiscard]] inline std::size_t token_block_bytes(std::size_t cols) {
  return columns_bytes(cols) + (n_passes(cols) + 63) / 64 * 64;
}

std::size_t prompt_operand_bytes(std::size_t n_tokens, std::size_t cols) {
  return (n_tokens + kTokens - 1) / kTokens * token_block_bytes(cols);
}

/// Transposes 8 tokens x 8 columns, `stride` bytes from token to token, to int16 (8 columns, kTokens).
inline void transpose_tokens(const std::int8_t* x, std::size_t stride, std::int16_t* columns) {
  int16x8_t v[kLanes];
  for (std::size_t t = 0; t < kLanes; ++t) {
    v[t] = vmovl_s8(vld1_s8(x + t * stride));
  }
  // Three rounds of "interleave register i with register i + 4" transpose 8 x 8.
  for (int round = 0; round < 3; ++round) {
    int16x8_t w[kLanes];
    for (std::size_t i = 0; i < kLanes / 2; ++i) {
      w[2 * i] = vzip1q_s16(v[i], v[i + 4]);
      w[2 * i + 1] = vzip2q_s16(v[i], v[i + 4]);
    }
    std::memcpy(v, w, sizeof v);
  }
  for (std::size_t c = 0; c < kLanes; ++c) {
    vst1q_s16(columns + c * kTokens, v[c]);
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
  if (t + kLanes <= tile.n_tokens && c + kLanes <= tile.cols) {
    transpose_tokens(tile.x + t * tile.stride + c, tile.stride, out);
    return;
  }
  std::int8_t part[kLanes * kLanes] = {};
  const std::size_t n = c < tile.cols ? tile.cols - c : 0;
  for (std::size_t i = 0; t + i < tile.n_tokens && i < kLanes; ++i) {
    std::memcpy(part + i * kLanes, tile.x + (t + i) * tile.stride + (n > 0 ? c : 0), n < kLanes ? n : kLanes);
  }
  transpose_tokens(part, kLanes, out);
}

/// Decides after which passes the 16-bit sums are spilled. columns: (passes * kPassCols, kTokens).
inline void plan_spills(const std::int16_t* columns, std::size_t passes, std::uint8_t* spill) {
  constexpr std::size_t kVectors = kTokens / kLanes;
  static_assert(32767 + kPassCols * 127 <= 65535, "one more pass would overflow the 16-bit bounds");
  uint16x8_t bound[kVectors] = {};  // per token: sum of |x| since the last spill, <= 32767
  for (std::size_t s = 0; s < passes; ++s) {
    uint16x8_t pass[kVectors] = {};
    for (std::size_t i = 0; i < kPassCols; ++i, columns += kTokens) {
      for (std::size_t v = 0; v < kVectors; ++v) {
        pass[v] = vaddq_u16(pass[v], vreinterpretq_u16_s16(vabsq_s16(vld1q_s16(columns + v * kLanes))));
      }
    }
    uint16x8_t largest = {};
    for (std::size_t v = 0; v < kVectors; ++v) {
      bound[v] = vaddq_u16(bound[v], pass[v]);
      largest = vmaxq_u16(largest, bound[v]);
    }
    if (vmaxvq_u16(largest) > 32767) {  // never in the first pass: 24 * 127 = 3048
      spill[s - 1] = 1;
      std::memcpy(bound, pass, sizeof bound);
    }
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
    for (std::size_t c = 0; c < n_passes(cols) * kPassCols; c += kLanes) {
      for (std::size_t t = 0; t < kTokens; t += kLanes) {
        transpose_part(tile, t, c, columns);
      }
    }
    plan_spills(columns, n_passes(cols), out + columns_bytes(cols));
  }
}

// --- product ----------------------------------------------------------------------------------------------------

/// 16-bit sums of 8, 16 or 32 tokens.
template <std::size_t kVectors>
struct TokenSums {
  static constexpr std::size_t kSize = kVectors * kLanes;
  static constexpr std::size_t kEntryBytes = kSize * sizeof(std::int16_t);
  static constexpr std::size_t kTableBytes = kPatterns * kEntryBytes;  // of a group
  static_assert(kTableBytes <= 65536, "offsets into a table are kept in 16 bits");
  int16x8_t v[kVectors] = {};

  static TokenSums load(const std::int16_t* p) {
    TokenSums x;
    for (std::size_t i = 0; i < kVectors; ++i) x.v[i] = vld1q_s16(p + i * kLanes);
    return x;
  }
  void store(std::int16_t* p) const {
    for (std::size_t i = 0; i < kVectors; ++i) vst1q_s16(p + i * kLanes, v[i]);
  }
  static TokenSums add(TokenSums x, const TokenSums& y) {
    for (std::size_t i = 0; i < kVectors; ++i) {
#ifdef TERN_DCHECKS
      const uint16x8_t in_range = vceqq_s16(vaddq_s16(x.v[i], y.v[i]), vqaddq_s16(x.v[i], y.v[i]));
      if (vminvq_u16(in_range) == 0) __builtin_trap();
#endif
      x.v[i] = vaddq_s16(x.v[i], y.v[i]);
    }
    return x;
  }
  static TokenSums negative(TokenSums x) {
    for (std::size_t i = 0; i < kVectors; ++i) x.v[i] = vnegq_s16(x.v[i]);
    return x;
  }
  /// Adds to sums of 32 bits.
  void add_to(std::int32_t* p) const {
    for (std::size_t i = 0; i < kVectors; ++i, p += kLanes) {
      vst1q_s32(p, vaddw_s16(vld1q_s32(p), vget_low_s16(v[i])));
      vst1q_s32(p + kQuadLanes, vaddw_high_s16(vld1q_s32(p + kQuadLanes), v[i]));
    }
  }
};

/// Tables and sums of one panel of rows and one token block, all in the thread's scratch; n is the size of the sums.
struct Panel {
  std::uint8_t* tables;    // (kPassGroups, kPatterns, n) int16
  std::int16_t* narrow;    // (kPanelRows, n): sums since the last spill
  std::int32_t* wide;      // (kPanelRows, n): sums before it
  std::uint16_t* offsets;  // (kPassGroups, 64): bytes from a group's table to the entry of each row of a block
};

constexpr std::size_t kTablesScratch = (kPassGroups * TokenSums<4>::kTableBytes + 63) / 64 * 64;
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

/// Tabulates the 81 sums of four columns. columns: (4, kTokens).
template <class Sums>
void make_patterns(const std::int16_t* columns, std::uint8_t* table) {
  Sums first[9];   // of the columns 0 and 1
  Sums second[9];  // of the columns 2 and 3
  const auto make_nine = [](const std::int16_t* pair, Sums(&nine)[9]) {
    const Sums x[3] = {Sums::negative(Sums::load(pair)), Sums(), Sums::load(pair)};
    const Sums y[3] = {Sums::negative(Sums::load(pair + kTokens)), Sums(), Sums::load(pair + kTokens)};
    for (std::size_t i = 0; i < 9; ++i) nine[i] = Sums::add(x[i % 3], y[i / 3]);
  };
  make_nine(columns, first);
  make_nine(columns + 2 * kTokens, second);
  for (const Sums& b : second) {
    for (const Sums& a : first) {
      Sums::add(a, b).store(reinterpret_cast<std::int16_t*>(table));
      table += Sums::kEntryBytes;
    }
  }
}

/// Turns the codes of one pass of a block, (6, 64) bytes of four 2-bit fields, into offsets of table entries.
template <class Sums>
void find_entries(const std::uint8_t* codes, std::uint16_t* offsets) {
  // Nibble (t0 + 1) | (t1 + 1) << 2 to base three, times 1 for the first two columns and times 9 for the others.
  static constexpr std::uint8_t kFirst[] = {0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 0, 0, 0, 0};
  static constexpr std::uint8_t kSecond[] = {0, 9, 18, 0, 27, 36, 45, 0, 54, 63, 72, 0, 0, 0, 0, 0};
  const uint8x16_t first = vld1q_u8(kFirst);
  const uint8x16_t second = vld1q_u8(kSecond);
  constexpr int kShift = Sums::kSize == 32 ? 6 : Sums::kSize == 16 ? 5 : 4;
  static_assert(Sums::kEntryBytes == 1U << kShift);
  for (std::size_t i = 0; i < kPassGroups * rows64::kRows; i += 16) {
    const uint8x16_t v = vld1q_u8(codes + i);
    const uint8x16_t pattern =
        vaddq_u8(vqtbl1q_u8(first, vandq_u8(v, vdupq_n_u8(15))), vqtbl1q_u8(second, vshrq_n_u8(v, 4)));
    vst1q_u16(offsets + i, vshlq_n_u16(vmovl_u8(vget_low_u8(pattern)), kShift));
    vst1q_u16(offsets + i + 8, vshlq_n_u16(vmovl_high_u8(pattern), kShift));
  }
}

/// What a pass does with the 16-bit sums.
struct PassMode {
  bool start;  ///< they begin at zero: the pass before has spilled
  bool spill;  ///< they end up in the 32-bit sums
};

/// Adds one pass to the sums of one block's 64 rows.
template <class Sums, bool kStart, bool kSpill>
void add_pass(const Panel& panel, std::size_t block) {
  std::int16_t* narrow = panel.narrow + block * rows64::kRows * Sums::kSize;
  std::int32_t* wide = panel.wide + block * rows64::kRows * Sums::kSize;
  const std::uint8_t* tables = panel.tables;  // or else the compiler reads them again after every store
  const std::uint16_t* offsets = panel.offsets;
  for (std::size_t r = 0; r < rows64::kRows; ++r) {
    Sums sum = kStart ? Sums() : Sums::load(narrow + r * Sums::kSize);
    for (std::size_t g = 0; g < kPassGroups; ++g) {
      const std::uint8_t* entry = tables + g * Sums::kTableBytes + offsets[g * rows64::kRows + r];
      sum = Sums::add(sum, Sums::load(reinterpret_cast<const std::int16_t*>(entry)));
    }
    if constexpr (kSpill) {
      sum.add_to(wide + r * Sums::kSize);
    } else {
      sum.store(narrow + r * Sums::kSize);
    }
  }
}

template <class Sums>
void add_pass(const Panel& panel, std::size_t block, PassMode mode) {
  const auto add = mode.start ? (mode.spill ? add_pass<Sums, true, true> : add_pass<Sums, true, false>)
                              : (mode.spill ? add_pass<Sums, false, true> : add_pass<Sums, false, false>);
  add(panel, block);
}

/// Fetches the codes that a pass needs of a block ahead of time: blocks lie too far apart for the hardware to guess.
inline void prefetch_pass(const std::uint8_t* codes) {
  for (std::size_t g = 0; g < kPassGroups; ++g) {
    __builtin_prefetch(codes + g * rows64::kRows);
  }
}

/// Packed weights of some row blocks.
struct PanelCodes {
  const std::uint8_t* first;
  std::size_t stride;  // bytes from one row block to the next
  std::size_t n_blocks;
};

/// Sums row blocks over all columns for one token block.
template <class Sums>
void sum_panel(const PanelCodes& weights, const std::uint8_t* token_block, std::size_t cols, const Panel& panel) {
  const auto* columns = reinterpret_cast<const std::int16_t*>(token_block);
  const std::uint8_t* spill = token_block + columns_bytes(cols);
  std::memset(panel.wide, 0, weights.n_blocks * rows64::kRows * Sums::kSize * sizeof *panel.wide);
  PassMode mode = {.start = true, .spill = false};
  for (std::size_t s = 0; s < n_passes(cols); ++s) {
    for (std::size_t g = 0; g < kPassGroups; ++g) {
      make_patterns<Sums>(columns + (s * kPassGroups + g) * rows64::kGroupCols * kTokens,
                          panel.tables + g * Sums::kTableBytes);
    }
    mode.spill = spill[s] != 0;
    const std::uint8_t* codes = weights.first + s * kPassGroups * rows64::kRows;
    for (std::size_t b = 0; b < weights.n_blocks; ++b, codes += weights.stride) {
      prefetch_pass(codes + 2 * weights.stride);
      find_entries<Sums>(codes, panel.offsets);
      add_pass<Sums>(panel, b, mode);
    }
    mode.start = mode.spill;
  }
}

/// Transposes 4 rows x 4 tokens of sums, `n` sums from row to row. out: (4 tokens, 64 rows).
inline void transpose_sums(const std::int32_t* sums, std::size_t n, std::int32_t* out) {
  int32x4_t v[kQuadLanes];
  for (std::size_t r = 0; r < kQuadLanes; ++r) {
    v[r] = vld1q_s32(sums + r * n);
  }
  // Two rounds of "interleave register i with register i + 2" transpose 4 x 4.
  for (int round = 0; round < 2; ++round) {
    const int32x4_t w[kQuadLanes] = {vzip1q_s32(v[0], v[2]), vzip2q_s32(v[0], v[2]), vzip1q_s32(v[1], v[3]),
                                     vzip2q_s32(v[1], v[3])};
    std::memcpy(v, w, sizeof v);
  }
  for (std::size_t t = 0; t < kQuadLanes; ++t) {
    vst1q_s32(out + t * rows64::kRows, v[t]);
  }
}

/// Some rows and tokens of a product.
struct Part {
  std::size_t row, n_rows;
  std::size_t token, n_tokens;
};

/// Hands the sums of a panel to a sink. wide: (rows, kSize).
template <class Sums>
void give_sums(const std::int32_t* wide, const Part& part, const SumSink& sink) {
  for (std::size_t r = 0; r < part.n_rows; r += rows64::kRows, wide += rows64::kRows * Sums::kSize) {
    alignas(64) std::int32_t sums[Sums::kSize * rows64::kRows];  // (kSize, 64)
    for (std::size_t i = 0; i < rows64::kRows; i += kQuadLanes) {
      for (std::size_t t = 0; t < part.n_tokens; t += kQuadLanes) {
        transpose_sums(wide + i * Sums::kSize + t, Sums::kSize, sums + t * rows64::kRows + i);
      }
    }
    const std::size_t n = part.n_rows - r < rows64::kRows ? part.n_rows - r : rows64::kRows;
    for (std::size_t t = 0; t < part.n_tokens; ++t) {
      sink.take(sink.context, part.token + t, part.row + r, n, sums + t * rows64::kRows);
    }
  }
}

/// A table is worth making for a panel of rows; tokens are cut wherever there are enough of them.
Grain prompt_grain(std::size_t /*n_tokens*/, std::size_t /*cols*/) { return {kPanelRows, kTokens, kPanelRows}; }

/// Multiplies a panel of rows with one token block.
template <class Sums>
void multiply_panel(const TernaryProduct& p, const Part& part) {
  const Panel panel = panel_in(p.scratch);
  const std::size_t block_bytes = rows64::block_bytes(p.cols);
  const PanelCodes weights = {.first = weights_at(p, part.row / rows64::kRows, block_bytes),
                              .stride = p.n_col_blocks * block_bytes,
                              .n_blocks = (part.n_rows + rows64::kRows - 1) / rows64::kRows};
  const std::uint8_t* token_block = p.operand + part.token / kTokens * token_block_bytes(p.cols);
  sum_panel<Sums>(weights, token_block, p.cols, panel);
  give_sums<Sums>(panel.wide, part, p.sink);
}

void prompt_multiply(const TernaryProduct& p) {
  for (std::size_t row = p.row_begin; row < p.row_end; row += kPanelRows) {
    for (std::size_t t = p.token_begin; t < p.token_end; t += kTokens) {
      const Part part = {row, p.row_end - row < kPanelRows ? p.row_end - row : kPanelRows, t,
                         p.token_end - t < kTokens ? p.token_end - t : kTokens};
      const auto multiply = part.n_tokens <= 8    ? multiply_panel<TokenSums<1>>
                            : part.n_tokens <= 16 ? multiply_panel<TokenSums<2>>
                                                  : multiply_panel<TokenSums<4>>;
      multiply(p, part);
    }
  }
}

}  // namespace
}  // namespace tern::kernels
