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
// Blocks of at most 16 tokens use the first half of every entry, with the class HalfTokens.
//
// A pass covers five or six quads, whose tables (26 or 31 KB) stay in the first cache while a panel of rows goes by.
// What limits the walk is the number of instructions and loads, not the traffic of sums, so that the places of four
// entries come in one 64-bit word, and the words made for a pass serve two token blocks.
//
// A kernel chooses its vectors by a class L of 16-bit sums (see HalfTokens) and its layout by a class Codes:
//
//     Codes::kPassQuads                     quads of a pass, 5 or 6
//     Codes::kPassBytes                     bytes of a pass in a block of 64 rows; passes follow each other
//     Codes::n_passes(cols)
//     Codes::block_bytes(cols)
//     Codes::padded_cols(cols)              columns with their padding
//     Codes::quad(cols, pass, i)            the columns of quad `i` of a pass
//     Codes::find_entries(codes, entries)   where the entries of 64 rows lie in the tables of a pass

#include <immintrin.h>

#include <cstring>

#include "kernels/kernels.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kRows = 64;                                    // of a row block
constexpr std::size_t kTokens = 32;                                  // of a token block
constexpr std::size_t kPatterns = 81;                                // 3^4
constexpr std::size_t kEntryBytes = kTokens * sizeof(std::int16_t);  // 64
constexpr std::size_t kPatternsBytes = kPatterns * kEntryBytes;      // 5184, the table of a quad
constexpr int kEntryShift = 6;                                       // from a pattern to its entry's offset
static_assert(kEntryBytes == std::size_t{1} << kEntryShift);
static_assert(kPatternsBytes <= 65536, "offsets into a table are kept in 16 bits");

constexpr std::size_t kMaxPassQuads = 6;
constexpr std::size_t kBlocksTogether = 2;   // token blocks that share the offsets of a pass
constexpr std::size_t kMaxPanelRows = 4096;  // that share a table: more amortise it, fewer stay in the second cache

/// Columns first, first + stride, ... first + 3 * stride.
struct Quad {
  std::size_t first, stride;
};

/// Offsets of a row's entries in the tables of a pass, 16 bits each, lowest bits first.
struct Entries {
  std::uint64_t* fours;  // (rows): of quads 0 .. 3
  std::uint32_t* rest;   // (rows): of quad 4 and, if there is one, 5
};

// --- operand ----------------------------------------------------------------------------------------------------
//
//     operand       | token block 0 | token block 1 | ...
//     token block   | columns: (padded cols, 32 tokens) int16 | spill: one byte per pass, padded to 64 |
//
// A row's 16-bit sums may go on as long as no token's sum of |x| passes 32767, whatever the signs: `spill` tells before
// which passes they must be moved to the 32-bit sums.

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

/// 16-bit sums of 16 tokens: what a class L offers, for the token blocks that fill at most half of it.
struct HalfTokens {
  __m256i v;

  static HalfTokens zero() { return {_mm256_setzero_si256()}; }
  static HalfTokens load(const std::int16_t* p) { return {_mm256_load_si256(reinterpret_cast<const __m256i*>(p))}; }
  void store(std::int16_t* p) const { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
  static HalfTokens add(HalfTokens a, HalfTokens b) { return {_mm256_add_epi16(a.v, b.v)}; }
  static HalfTokens sub(HalfTokens a, HalfTokens b) { return {_mm256_sub_epi16(a.v, b.v)}; }
  /// Whether no lane of add() overflows.
  static bool fits(HalfTokens a, HalfTokens b) {
    const __m256i same = _mm256_cmpeq_epi16(_mm256_add_epi16(a.v, b.v), _mm256_adds_epi16(a.v, b.v));
    return _mm256_movemask_epi8(same) == -1;
  }
  /// Adds to 16 sums of 32 bits.
  void add_to(std::int32_t* p) const {
    auto* sums = reinterpret_cast<__m256i*>(p);
    const __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(v));
    const __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(v, 1));
    _mm256_store_si256(sums, _mm256_add_epi32(_mm256_load_si256(sums), low));
    _mm256_store_si256(sums + 1, _mm256_add_epi32(_mm256_load_si256(sums + 1), high));
  }
};

/// The sums of one panel of rows and one token block.
struct Sums {
  std::int16_t* narrow;  // (rows, kTokens): since the last spill
  std::int32_t* wide;    // (rows, kTokens): before it, when `spilled`
  bool spilled;
};

/// What a thread works in, all in its scratch.
struct Workspace {
  std::uint8_t* tables;  // (kPassQuads, kPatterns, kTokens) int16
  Entries entries;
  Sums sums[kBlocksTogether];
};

constexpr std::size_t kTablesScratch = (kMaxPassQuads * kPatternsBytes + 63) / 64 * 64;
constexpr std::size_t kFoursScratch = kMaxPanelRows * sizeof(std::uint64_t);
constexpr std::size_t kRestScratch = kMaxPanelRows * sizeof(std::uint32_t);
constexpr std::size_t kNarrowScratch = kMaxPanelRows * kTokens * sizeof(std::int16_t);
constexpr std::size_t kWideScratch = kMaxPanelRows * kTokens * sizeof(std::int32_t);

std::size_t prompt_scratch_bytes(std::size_t /*cols*/) {
  return kTablesScratch + kFoursScratch + kRestScratch + kBlocksTogether * (kNarrowScratch + kWideScratch);
}

inline Workspace workspace_in(std::uint8_t* scratch) {
  Workspace w = {};
  w.tables = scratch;
  w.entries.fours = reinterpret_cast<std::uint64_t*>(scratch + kTablesScratch);
  w.entries.rest = reinterpret_cast<std::uint32_t*>(scratch + kTablesScratch + kFoursScratch);
  std::uint8_t* sums = scratch + kTablesScratch + kFoursScratch + kRestScratch;
  for (Sums& block : w.sums) {
    block.narrow = reinterpret_cast<std::int16_t*>(sums);
    block.wide = reinterpret_cast<std::int32_t*>(sums + kNarrowScratch);
    sums += kNarrowScratch + kWideScratch;
  }
  return w;
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

/// Makes the compiler take the value as it is, instead of working out parts of it from where it came from.
template <class T>
inline void opaque(T& value) {
  asm("" : "+r"(value));
}

/// Adds the entry at the lowest 16 bits of `offsets`, and drops them.
template <class L, class Offsets>
inline L add_entry(L sum, const std::uint8_t* table, Offsets& offsets) {
  const L entry = L::load(reinterpret_cast<const std::int16_t*>(table + (offsets & 0xFFFFU)));
  offsets >>= 16U;
  opaque(offsets);
#ifdef TERN_DCHECKS
  if (!L::fits(sum, entry)) __builtin_trap();
#endif
  return L::add(sum, entry);
}

/// Adds one pass to the 16-bit sums of a panel, which begin at zero when kStart. narrow: (n_rows, kTokens).
template <class L, std::size_t kQuads, bool kStart>
void add_pass(const std::uint8_t* tables, Entries entries, std::size_t n_rows, std::int16_t* narrow) {
  for (std::size_t r = 0; r < n_rows; ++r, narrow += kTokens) {
    L sum = kStart ? L::zero() : L::load(narrow);
    std::uint64_t fours = entries.fours[r];
    std::uint32_t rest = entries.rest[r];
    opaque(fours);
    opaque(rest);
    for (std::size_t i = 0; i < 4; ++i) {
      sum = add_entry(sum, tables + i * kPatternsBytes, fours);
    }
    for (std::size_t i = 4; i < kQuads; ++i) {
      sum = add_entry(sum, tables + i * kPatternsBytes, rest);
    }
    sum.store(narrow);
  }
}

/// Moves the 16-bit sums of a panel into the 32-bit ones.
template <class L>
void spill_sums(Sums& sums, std::size_t n_rows) {
  if (!sums.spilled) std::memset(sums.wide, 0, n_rows * kTokens * sizeof *sums.wide);
  for (std::size_t i = 0; i < n_rows * kTokens; i += kTokens) {
    L::load(sums.narrow + i).add_to(sums.wide + i);
  }
  sums.spilled = true;
}

/// Adds pass `pass` of one token block.
template <class L, class Codes>
void add_block_pass(const std::uint8_t* token_block, std::size_t cols, std::size_t pass, std::size_t n_rows,
                    const Workspace& w, Sums& sums) {
  const auto* columns = reinterpret_cast<const std::int16_t*>(token_block);
  for (std::size_t i = 0; i < Codes::kPassQuads; ++i) {
    make_patterns<L>(columns, Codes::quad(cols, pass, i), w.tables + i * kPatternsBytes);
  }
  const bool spill = token_block[columns_bytes<Codes>(cols) + pass] != 0;
  if (spill) spill_sums<L>(sums, n_rows);
  const auto add = spill || pass == 0 ? add_pass<L, Codes::kPassQuads, true> : add_pass<L, Codes::kPassQuads, false>;
  add(w.tables, w.entries, n_rows, sums.narrow);
}

/// Finds the entries of a pass for a panel. codes: of its first block.
template <class Codes>
void find_panel_entries(const std::uint8_t* codes, std::size_t block_bytes, std::size_t n_rows, Entries entries) {
  for (std::size_t r = 0; r < n_rows; r += kRows, codes += block_bytes) {
    // Blocks lie too far apart for the hardware to guess: fetch what comes soon, and what the next pass begins with.
    for (std::size_t i = 0; i < Codes::kPassBytes; i += 64) {
      _mm_prefetch(codes + 2 * block_bytes + i, _MM_HINT_T0);
      _mm_prefetch(codes + Codes::kPassBytes + i, _MM_HINT_T1);
    }
    Codes::find_entries(codes, {entries.fours + r, entries.rest + r});
  }
}

/// Transposes 8 rows x 8 tokens of sums, from element `at` on. out: (8 tokens, `stride`).
inline void transpose_sums(const Sums& sums, std::size_t at, std::int32_t* out, std::size_t stride) {
  __m256i v[8];
  for (std::size_t r = 0; r < 8; ++r, at += kTokens) {
    v[r] = _mm256_cvtepi16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(sums.narrow + at)));
    if (sums.spilled) {
      v[r] = _mm256_add_epi32(v[r], _mm256_load_si256(reinterpret_cast<const __m256i*>(sums.wide + at)));
    }
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

/// A piece of a product that a workspace can hold: rows from `row` on, and up to kBlocksTogether token blocks.
struct Piece {
  std::size_t row, n_rows;
  std::size_t token, n_tokens;
};

/// Hands the sums of `n_tokens` tokens from `token` on to a sink.
inline void give_sums(const Sums& sums, const Piece& piece, std::size_t token, std::size_t n_tokens,
                      const SumSink& sink) {
  for (std::size_t r = 0; r < piece.n_rows; r += kRows) {
    alignas(64) std::int32_t out[kTokens * kRows];  // (kTokens, 64)
    for (std::size_t i = 0; i < kRows; i += 8) {
      for (std::size_t t = 0; t < n_tokens; t += 8) {
        transpose_sums(sums, (r + i) * kTokens + t, out + t * kRows + i, kRows);
      }
    }
    const std::size_t n = piece.n_rows - r < kRows ? piece.n_rows - r : kRows;
    for (std::size_t t = 0; t < n_tokens; ++t) {
      sink.take(sink.context, token + t, piece.row + r, n, out + t * kRows);
    }
  }
}

/// Computes one piece of a product.
template <class L, class Codes>
void multiply_piece(const TernaryProduct& p, const Piece& piece, Workspace& w) {
  const std::size_t block_bytes = Codes::block_bytes(p.cols);
  const std::size_t padded_rows = (piece.n_rows + kRows - 1) / kRows * kRows;
  const std::uint8_t* codes = p.weights + piece.row / kRows * block_bytes;
  const std::uint8_t* token_blocks = p.operand + piece.token / kTokens * token_block_bytes<Codes>(p.cols);
  for (Sums& sums : w.sums) sums.spilled = false;
  for (std::size_t s = 0; s < Codes::n_passes(p.cols); ++s, codes += Codes::kPassBytes) {
    find_panel_entries<Codes>(codes, block_bytes, padded_rows, w.entries);
    for (std::size_t t = 0; t < piece.n_tokens; t += kTokens) {
      const auto add = piece.n_tokens - t <= kTokens / 2 ? add_block_pass<HalfTokens, Codes> : add_block_pass<L, Codes>;
      const std::size_t b = t / kTokens;
      add(token_blocks + b * token_block_bytes<Codes>(p.cols), p.cols, s, padded_rows, w, w.sums[b]);
    }
  }
  for (std::size_t t = 0; t < piece.n_tokens; t += kTokens) {
    const std::size_t n = piece.n_tokens - t < kTokens ? piece.n_tokens - t : kTokens;
    give_sums(w.sums[t / kTokens], piece, piece.token + t, n, p.sink);
  }
}

/// A table is worth making for a panel of rows, and finding entries for two token blocks.
Grain prompt_grain(std::size_t /*n_tokens*/, std::size_t /*cols*/) {
  return {kMaxPanelRows, kBlocksTogether * kTokens};
}

template <class L, class Codes>
void prompt_multiply(const TernaryProduct& p) {
  Workspace w = workspace_in(p.scratch);
  constexpr std::size_t kPieceTokens = kBlocksTogether * kTokens;
  const std::size_t n_rows = p.row_end - p.row_begin;
  const std::size_t n_panels = (n_rows + kMaxPanelRows - 1) / kMaxPanelRows;
  const std::size_t panel_rows = (n_rows + n_panels * kRows - 1) / (n_panels * kRows) * kRows;
  for (std::size_t row = p.row_begin; row < p.row_end; row += panel_rows) {
    for (std::size_t t = p.token_begin; t < p.token_end; t += kPieceTokens) {
      const Piece piece = {.row = row,
                           .n_rows = p.row_end - row < panel_rows ? p.row_end - row : panel_rows,
                           .token = t,
                           .n_tokens = p.token_end - t < kPieceTokens ? p.token_end - t : kPieceTokens};
      multiply_piece<L, Codes>(p, piece, w);
    }
  }
}

}  // namespace
}  // namespace tern::kernels
