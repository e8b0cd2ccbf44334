#pragma once

// Prompts by tables over tokens (the "method of the four Russians"), for any vector width and layout. Included by the
// add/subtract kernels; all names are local to the including file (see kernels.h).
//
// For four columns (a quad) there are 81 patterns of signs. Their sums are tabulated for 32 tokens at once; then every
// row costs one load and one 16-bit addition for 4 * 32 = 128 multiply-adds:
//
//     table of a quad    | pattern 0: 32 x int16 | pattern 1: 32 x int16 | ... | pattern 80 |    81 x 64 B
//     pattern            (t0 + 1) + 3 (t1 + 1) + 9 (t2 + 1) + 27 (t3 + 1)
//
// Blocks of at most 16 tokens use the first half of every entry; where vectors are so short, those of at most 8 use the
// first quarter.
//
// A pass covers five or six quads, whose tables (26 or 31 KB) stay in the first cache while a panel of rows goes by. A
// row then costs about one load with addition a cycle: its entries, and its sums of 16 bits, which live in the second
// cache between passes. Next to that count the codes, which are fetched from all over the matrix (hence the prefetches)
// and sorted by rows.
//
// A kernel chooses its vectors by a class L of the 16-bit sums of 32 tokens and its layout by a class Codes:
//
//     L::kSize, L::Half                     tokens; the class for half as many, or L itself where there is none
//     L::zero, load, store, add, sub        of all lanes, modulo 2^16
//     L::fits(a, b)                         whether no lane of add(a, b) overflows
//     L::magnitude(a), L::any_negative(a)   |a|; whether a lane is below zero
//     a.add_to(p)                           adds to sums of 32 bits
//     L::Transposes::tokens, sums           squares of 8 x 8, see addsub_prompt_x86.h
//
//     Codes::kPassQuads                     quads of a pass, 5 or 6
//     Codes::kPassBytes                     bytes of a pass in a block of 64 rows; passes follow each other
//     Codes::n_passes(cols)
//     Codes::block_bytes(cols)
//     Codes::padded_cols(cols)              columns with their padding
//     Codes::quad(cols, pass, i)            the columns of quad `i` of a pass
//     Codes::find_entries(codes, entries)   where the entries of a block's rows lie in the tables of a pass

#include <cstring>

#include "kernels/addsub_prompt_operand.h"
#include "kernels/weights_at.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kRows = 64;                                // of a row block
constexpr std::size_t kPatterns = 81;                            // 3^4
constexpr std::size_t kPatternsBytes = kPatterns * kEntryBytes;  // 5184, the table of a quad
constexpr int kEntryShift = 6;                                   // from a pattern to its entry's offset
static_assert(kEntryBytes == std::size_t{1} << kEntryShift);
static_assert(kPatternsBytes <= 65536, "offsets into a table are kept in 16 bits");

constexpr std::size_t kMaxPassQuads = 6;
constexpr std::size_t kMaxPanelRows = 2560;  // that share a table: more amortise it, fewer stay in the second cache

/// Offsets of the entries of a block's rows in the tables of a pass, 16 bits each, lowest bits first.
struct Entries {
  std::uint64_t fours[kRows];  // of quads 0 .. 3
  std::uint32_t rest[kRows];   // of quad 4 and, if there is one, 5
};

// --- entries ----------------------------------------------------------------------------------------------------

/// Stores the offsets of four quads. patterns: (4), of as many rows as a vector has bytes; the rows in the order that
/// interleaving straightens (see V::for_interleaving).
template <class V>
inline void store_fours(const V* patterns, std::uint64_t* fours) {
  const V low01 = V::interleave8_low(patterns[0], patterns[1]);
  const V high01 = V::interleave8_high(patterns[0], patterns[1]);
  const V low23 = V::interleave8_low(patterns[2], patterns[3]);
  const V high23 = V::interleave8_high(patterns[2], patterns[3]);
  constexpr std::size_t kStep = V::kBytes / 4;  // rows
  V::interleave16_low(low01, low23).store_shifted(fours, kEntryShift);
  V::interleave16_high(low01, low23).store_shifted(fours + kStep, kEntryShift);
  V::interleave16_low(high01, high23).store_shifted(fours + 2 * kStep, kEntryShift);
  V::interleave16_high(high01, high23).store_shifted(fours + 3 * kStep, kEntryShift);
}

/// Stores the offsets of two quads.
template <class V>
inline void store_twos(V first, V second, std::uint32_t* twos) {
  const V low = V::interleave8_low(first, second);
  const V high = V::interleave8_high(first, second);
  constexpr std::size_t kStep = V::kBytes / 4;  // rows
  V::shift_left(V::interleave8_low(low, V::zero()), kEntryShift).store(twos);
  V::shift_left(V::interleave8_high(low, V::zero()), kEntryShift).store(twos + kStep);
  V::shift_left(V::interleave8_low(high, V::zero()), kEntryShift).store(twos + 2 * kStep);
  V::shift_left(V::interleave8_high(high, V::zero()), kEntryShift).store(twos + 3 * kStep);
}

// --- product ----------------------------------------------------------------------------------------------------

/// 16-bit sums of twice as many tokens as L has.
template <class L>
struct TwiceTokens {
  static constexpr std::size_t kSize = 2 * L::kSize;
  using Half = L;
  using Transposes = typename L::Transposes;
  L a, b;

  static TwiceTokens zero() { return {L::zero(), L::zero()}; }
  static TwiceTokens load(const std::int16_t* p) { return {L::load(p), L::load(p + L::kSize)}; }
  void store(std::int16_t* p) const {
    a.store(p);
    b.store(p + L::kSize);
  }
  static TwiceTokens add(TwiceTokens x, TwiceTokens y) { return {L::add(x.a, y.a), L::add(x.b, y.b)}; }
  static TwiceTokens sub(TwiceTokens x, TwiceTokens y) { return {L::sub(x.a, y.a), L::sub(x.b, y.b)}; }
  static TwiceTokens magnitude(TwiceTokens x) { return {L::magnitude(x.a), L::magnitude(x.b)}; }
  static bool any_negative(TwiceTokens x) { return L::any_negative(x.a) || L::any_negative(x.b); }
  static bool fits(TwiceTokens x, TwiceTokens y) { return L::fits(x.a, y.a) && L::fits(x.b, y.b); }
  void add_to(std::int32_t* p) const {
    a.add_to(p);
    b.add_to(p + L::kSize);
  }
};

/// Tables and sums of one panel of rows and one token block, all in the thread's scratch.
struct Panel {
  std::uint8_t* tables;  // (kPassQuads, kPatterns, kTokens) int16
  std::int16_t* narrow;  // (rows, kTokens): sums since the last spill
  std::int32_t* wide;    // (rows, kTokens): sums before it, when `spilled`
  std::size_t n_rows;    // a multiple of 64
  bool spilled;
};

constexpr std::size_t kTablesScratch = (kMaxPassQuads * kPatternsBytes + 63) / 64 * 64;
constexpr std::size_t kNarrowScratch = kMaxPanelRows * kTokens * sizeof(std::int16_t);
constexpr std::size_t kWideScratch = kMaxPanelRows * kTokens * sizeof(std::int32_t);

std::size_t prompt_scratch_bytes(std::size_t /*cols*/) { return kTablesScratch + kNarrowScratch + kWideScratch; }

inline Panel panel_in(std::uint8_t* scratch, std::size_t n_rows) {
  std::uint8_t* narrow = scratch + kTablesScratch;
  return {.tables = scratch,
          .narrow = reinterpret_cast<std::int16_t*>(narrow),
          .wide = reinterpret_cast<std::int32_t*>(narrow + kNarrowScratch),
          .n_rows = (n_rows + kRows - 1) / kRows * kRows,
          .spilled = false};
}

/// Signs -1, 0, 1 times x, for code 0, 1, 2.
template <class L>
inline L signed_by(std::size_t code, L x) {
  return code == 0 ? L::sub(L::zero(), x) : code == 1 ? L::zero() : x;
}

/// Tabulates the 81 sums of four columns. columns: (padded cols, kTokens).
template <class L>
void make_patterns(const std::int16_t* columns, Quad quad, std::uint8_t* table) {
  const std::int16_t* first_column = columns + quad.first * kTokens;
  const L x0 = L::load(first_column);
  const L x1 = L::load(first_column + quad.stride * kTokens);
  const L x2 = L::load(first_column + 2 * quad.stride * kTokens);
  const L x3 = L::load(first_column + 3 * quad.stride * kTokens);
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

/// Takes the lowest 16 bits off.
template <class Offsets>
inline std::size_t take_offset(Offsets& offsets) {
  const std::size_t offset = offsets & 0xFFFFU;
  offsets >>= 16U;
  return offset;
}

template <class L>
inline L add_entry(L sum, const std::uint8_t* table, std::size_t offset) {
  const L entry = L::load(reinterpret_cast<const std::int16_t*>(table + offset));
#ifdef TERN_DCHECKS
  if (!L::fits(sum, entry)) __builtin_trap();  // plan_spills() has proven that it fits
#endif
  return L::add(sum, entry);
}

/// Adds one pass to the 16-bit sums of a block's rows, which begin at zero when kStart. narrow: (64, kTokens).
template <class L, std::size_t kQuads, bool kStart>
void add_pass(const std::uint8_t* tables, const Entries& entries, std::int16_t* narrow) {
  for (std::size_t r = 0; r < kRows; ++r, narrow += kTokens) {
    L sum = kStart ? L::zero() : L::load(narrow);
    std::uint64_t fours = entries.fours[r];
    std::uint32_t rest = entries.rest[r];
    for (std::size_t i = 0; i < kQuads; ++i) {
      const std::size_t offset = i < 4 ? take_offset(fours) : take_offset(rest);
      sum = add_entry(sum, tables + i * kPatternsBytes, offset);
    }
    sum.store(narrow);
  }
}

/// Moves the 16-bit sums of a panel into the 32-bit ones.
template <class L>
void spill_sums(Panel& panel) {
  const std::size_t n = panel.n_rows * kTokens;
  if (!panel.spilled) std::memset(panel.wide, 0, n * sizeof *panel.wide);
  for (std::size_t i = 0; i < n; i += kTokens) {
    L::load(panel.narrow + i).add_to(panel.wide + i);
  }
  panel.spilled = true;
}

/// Adds one pass to the 16-bit sums of a panel, which begin at zero when `start`. codes: of the first block's pass.
template <class L, class Codes>
void add_panel_pass(const std::uint8_t* codes, std::size_t block_bytes, bool start, const Panel& panel) {
  const auto add = start ? add_pass<L, Codes::kPassQuads, true> : add_pass<L, Codes::kPassQuads, false>;
  for (std::size_t r = 0; r < panel.n_rows; r += kRows, codes += block_bytes) {
    // Blocks lie too far apart for the hardware to guess: fetch the next one's codes, and those of this one's next pass
    // into the second cache.
    for (std::size_t i = 0; i < Codes::kPassBytes; i += 64) {
      __builtin_prefetch(codes + block_bytes + i, 0, 3);
      __builtin_prefetch(codes + Codes::kPassBytes + i, 0, 2);
    }
    alignas(64) Entries entries;
    Codes::find_entries(codes, entries);
    add(panel.tables, entries, panel.narrow + r * kTokens);
  }
}

/// Packed weights, from the first row block of a panel on.
struct PanelCodes {
  const std::uint8_t* first;
  std::size_t stride;  // bytes from one row block to the next
};

/// Sums a panel over all columns for one token block.
template <class L, class Codes>
void sum_panel(PanelCodes codes, const std::uint8_t* token_block, std::size_t cols, Panel& panel) {
  const auto* columns = reinterpret_cast<const std::int16_t*>(token_block);
  const std::uint8_t* spill = token_block + columns_bytes<Codes>(cols);
  for (std::size_t s = 0; s < Codes::n_passes(cols); ++s, codes.first += Codes::kPassBytes) {
    for (std::size_t i = 0; i < Codes::kPassQuads; ++i) {
      make_patterns<L>(columns, Codes::quad(cols, s, i), panel.tables + i * kPatternsBytes);
    }
    if (spill[s] != 0) spill_sums<L>(panel);
    add_panel_pass<L, Codes>(codes.first, codes.stride, s == 0 || spill[s] != 0, panel);
  }
}

/// Rows and tokens of a product that one panel sums.
struct Piece {
  std::size_t row, n_rows;
  std::size_t token, n_tokens;
};

/// Hands the sums of a panel to a sink.
template <class L>
void give_sums(const Panel& panel, const Piece& piece, const SumSink& sink) {
  for (std::size_t r = 0; r < piece.n_rows; r += kRows) {
    alignas(64) std::int32_t sums[kTokens * kRows];  // (kTokens, 64)
    for (std::size_t i = 0; i < kRows; i += 8) {
      for (std::size_t t = 0; t < piece.n_tokens; t += 8) {
        const std::size_t at = (r + i) * kTokens + t;
        L::Transposes::sums(panel.narrow + at, panel.spilled ? panel.wide + at : nullptr, sums + t * kRows + i, kRows);
      }
    }
    const std::size_t n = piece.n_rows - r < kRows ? piece.n_rows - r : kRows;
    for (std::size_t t = 0; t < piece.n_tokens; ++t) {
      sink.take(sink.context, piece.token + t, piece.row + r, n, sums + t * kRows);
    }
  }
}

/// A table is worth making for a panel of rows; tokens are cut wherever there are enough of them.
Grain prompt_grain(std::size_t /*n_tokens*/, std::size_t /*cols*/) { return {kMaxPanelRows, kTokens, kMaxPanelRows}; }

using SumPanel = void (*)(PanelCodes codes, const std::uint8_t* token_block, std::size_t cols, Panel& panel);

/// sum_panel() with vectors that are no longer than `n_tokens` need.
template <class L, class Codes>
SumPanel sum_panel_of(std::size_t n_tokens) {
  if constexpr (L::Half::kSize < L::kSize) {
    if (n_tokens <= L::Half::kSize) return sum_panel_of<typename L::Half, Codes>(n_tokens);
  }
  return sum_panel<L, Codes>;
}

template <class L, class Codes>
void prompt_multiply(const TernaryProduct& p) {
  const std::size_t n_rows = p.row_end - p.row_begin;
  const std::size_t n_panels = (n_rows + kMaxPanelRows - 1) / kMaxPanelRows;
  const std::size_t panel_rows = (n_rows + n_panels * kRows - 1) / (n_panels * kRows) * kRows;  // all about as long
  for (std::size_t row = p.row_begin; row < p.row_end; row += panel_rows) {
    for (std::size_t t = p.token_begin; t < p.token_end; t += kTokens) {
      const Piece piece = {.row = row,
                           .n_rows = p.row_end - row < panel_rows ? p.row_end - row : panel_rows,
                           .token = t,
                           .n_tokens = p.token_end - t < kTokens ? p.token_end - t : kTokens};
      const SumPanel sum = sum_panel_of<L, Codes>(piece.n_tokens);
      Panel panel = panel_in(p.scratch, piece.n_rows);
      const std::size_t block_bytes = Codes::block_bytes(p.cols);
      sum({weights_at(p, row / kRows, block_bytes), p.n_col_blocks * block_bytes},
          p.operand + t / kTokens * token_block_bytes<Codes>(p.cols), p.cols, panel);
      give_sums<L>(panel, piece, p.sink);
    }
  }
}

}  // namespace
}  // namespace tern::kernels
