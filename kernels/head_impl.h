#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/head.h"

/// The output head once for every instruction set but the scalar one.
///
/// An instruction set is a struct with
///   kBytes                            columns of a row that one register holds; divides kHeadAlignment
///   kSegmentCols                      columns whose sums cannot overflow; a multiple of kHeadAlignment
///   Row, load(p)                      kBytes columns of a row, as the multiplication wants them
///   kTileSums                         sums that its registers hold at once, 4 or 8
///   Hidden, load_hidden(p)            kBytes elements of a hidden state, from 2 * kBytes bytes of the operand
///   Sum: zero(), add(row, hidden), total()
///                                     the exact sum of (q + 128) * x over up to kSegmentCols columns
///   add_totals(sums, totals)          adds the total() of each of an array of sums
///   pack(x, n, out)                   n integers, n <= kBytes, to 2 * kBytes bytes of the operand; zeros fill it up
///   to_bytes(w, scale, q)             16 weights, floats or halves, to bytes
///
/// The operand of a token is a header and then 2 bytes a column; those of all tokens follow each other:
///
///     0     double  step
///     8     int64   128 * sum of x
///     64    kBytes columns in 2 * kBytes bytes, kBytes columns, ... up to a multiple of 64 columns
///
/// Everything lives in an anonymous namespace: each instruction set compiles this file with its own flags.
namespace tern::kernels {
namespace {

// --- rows -------------------------------------------------------------------------------------------------------

inline constexpr float kHeadRoundShift = 0x1.8p23f;  // x + this has round-half-even(x) in its low bits, |x| < 2^22
inline constexpr std::size_t kRowGroup = 16;         // weights that become bytes together

/// The bits of |w|: for numbers of one sign, floats are in the order of their bits, then infinity, then NaN.
inline std::uint16_t magnitude_bits(std::uint16_t half) { return half & 0x7fffU; }
inline std::uint32_t magnitude_bits(float w) { return std::bit_cast<std::uint32_t>(w) & 0x7fffffffU; }

/// A finite half, from its bits: they are moved to where a float has them, and the difference of the exponents' zeros
/// is made up for. Exact for subnormal numbers too.
inline float finite_half(std::uint16_t half) {
  const float magnitude = std::bit_cast<float>(std::uint32_t{magnitude_bits(half)} << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | (half & 0x8000U) << 16U);
}
inline float plain_float(std::uint16_t half) { return finite_half(half); }
inline float plain_float(float w) { return w; }

inline bool is_finite(std::uint16_t bits) { return bits < 0x7c00U; }
inline bool is_finite(std::uint32_t bits) { return bits < 0x7f800000U; }

/// round-half-even(w * scale) + 128.  |w * scale| <= 127.1
inline std::uint8_t to_byte(float w, float scale) {
  const float shifted = w * scale + kHeadRoundShift;
  return static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(shifted) + 128U);  // the shift's own low byte is 0
}

template <typename Isa, typename Element>
float quantize_row(const Element* w, std::size_t cols, std::uint8_t* q) {
  auto bits = magnitude_bits(Element{});
  for (std::size_t c = 0; c < cols; ++c) {
    const auto b = magnitude_bits(w[c]);
    bits = b > bits ? b : bits;
  }
  if (!is_finite(bits)) return std::bit_cast<float>(0x7f800000U);
  float largest = kHeadFloor;
  if constexpr (sizeof bits == sizeof(std::uint16_t)) {
    largest = finite_half(bits) > largest ? finite_half(bits) : largest;
  } else {
    largest = std::bit_cast<float>(bits) > largest ? std::bit_cast<float>(bits) : largest;
  }
  const float scale = 127.0f / largest;
  std::size_t c = 0;
  for (; c + kRowGroup <= cols; c += kRowGroup) Isa::to_bytes(w + c, scale, q + c);
  for (; c < cols; ++c) q[c] = to_byte(plain_float(w[c]), scale);
  return largest / 127.0f;
}

// --- hidden states ----------------------------------------------------------------------------------------------

inline constexpr std::size_t kOperandHeader = 64;  // bytes

struct HiddenHeader {
  double step;
  std::int64_t offset;  // what the 128 of every weight adds to a sum
};

inline HiddenHeader header_of(const std::uint8_t* operand) {
  HiddenHeader header;
  std::memcpy(&header, operand, sizeof header);
  return header;
}

inline std::size_t padded_cols(std::size_t cols) {
  return (cols + kHeadAlignment - 1) / kHeadAlignment * kHeadAlignment;
}

/// Of one token, a multiple of 64.
inline std::size_t token_bytes(std::size_t cols) { return kOperandHeader + 2 * padded_cols(cols); }

inline std::size_t operand_bytes(std::size_t n_tokens, std::size_t cols) { return n_tokens * token_bytes(cols); }

/// round-half-even(h * scale), NaN as 0.
inline std::int32_t hidden_integer(float h, double scale) {
  constexpr double kLimit = kHeadMaxHidden;
  double v = double{h} * scale;
  v = v < kLimit ? v : (v >= kLimit ? kLimit : 0.0);
  v = v > -kLimit ? v : -kLimit;
  return static_cast<std::int32_t>(std::bit_cast<std::uint64_t>(v + 0x1.8p52));  // low bits: the nearest integer
}

/// Calls store(first column, integers) for every n columns of a hidden state, zeros beyond its end; returns its header.
template <std::size_t n, typename Store>
HiddenHeader quantize_columns(const float* h, std::size_t cols, const Store& store) {
  float largest = kHeadFloor;
  for (std::size_t c = 0; c < cols; ++c) {
    const float magnitude = std::bit_cast<float>(magnitude_bits(h[c]));
    largest = magnitude > largest ? magnitude : largest;  // false for NaN
  }
  constexpr float kMaxFloat = 0x1.fffffep127f;
  largest = largest < kMaxFloat ? largest : kMaxFloat;
  const double scale = double{kHeadMaxHidden} / double{largest};
  std::int64_t sum = 0;
  for (std::size_t begin = 0; begin < padded_cols(cols); begin += n) {
    std::int32_t x[n] = {};
    for (std::size_t i = 0; i < n && begin + i < cols; ++i) {
      x[i] = hidden_integer(h[begin + i], scale);
      sum += x[i];
    }
    store(begin, x);
  }
  return {double{largest} / double{kHeadMaxHidden}, 128 * sum};
}

template <typename Isa>
void quantize_hidden(const float* h, std::size_t cols, HeadToken token, std::uint8_t* operand) {
  constexpr std::size_t n = Isa::kBytes;
  operand += token.index * token_bytes(cols);
  std::uint8_t* out = operand + kOperandHeader;
  const HiddenHeader header = quantize_columns<n>(
      h, cols, [&](std::size_t begin, const std::int32_t(&x)[n]) { Isa::pack(x, out + 2 * begin); });
  std::memcpy(operand, &header, sizeof header);
}

// --- products ---------------------------------------------------------------------------------------------------

/// Tokens that a slice of rows meets at once, or fewer.
inline constexpr std::size_t kTileTokens = 4;

/// Rows and tokens that are multiplied side by side.
struct HeadTile {
  const HeadProduct& p;
  std::size_t row;
  std::size_t row_step;  // from one row of the tile to the next
  std::size_t token;
};

/// What is asked for while a slice of rows is computed: the slice behind it, a line of each row in turn, since memory
/// gives more to several streams than to one; and only a share of it in every pass over the rows, so that memory never
/// waits for the multiplications of many tokens.
struct Ahead {
  const std::uint8_t* slice;
  std::size_t distance;  // bytes from row to row
  std::size_t step;      // bytes that are asked for with every step of a tile
  std::size_t at = 0;    // bytes asked for so far

  /// `n_rows` of the slice: a power of two.
  template <std::size_t n_rows, std::size_t n_lines>
  void prefetch() {
    for (std::size_t i = 0; i < n_lines; ++i) {
      const std::size_t line = at / kHeadAlignment + i;
      __builtin_prefetch(slice + (line & (n_rows - 1)) * distance + line / n_rows * kHeadAlignment, 0, 2);
    }
    at += step;
  }
};

/// body(0), ..., body(n - 1), spelled out: loops would keep what they index in memory, not in registers.
template <std::size_t n, typename Body>
inline __attribute__((always_inline)) void unroll(const Body& body) {
  [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) { (body(i), ...); }
  (std::make_index_sequence<n>{});
}

template <typename Isa, std::size_t n_rows, std::size_t n_tokens>
inline void add_segment(const HeadTile& tile, std::size_t begin, std::size_t end, Ahead& asked, std::int64_t* totals) {
  constexpr std::size_t kLines = (n_rows * Isa::kBytes + kHeadAlignment - 1) / kHeadAlignment;
  const std::size_t x_step = token_bytes(tile.p.cols);
  const std::size_t distance = tile.row_step * tile.p.stride;
  const std::uint8_t* rows = tile.p.rows + tile.row * tile.p.stride;
  const std::uint8_t* x = tile.p.operand + tile.token * x_step + kOperandHeader;
  typename Isa::Sum sums[n_tokens * n_rows];
  unroll<n_tokens * n_rows>([&](std::size_t i) __attribute__((always_inline)) { sums[i] = Isa::Sum::zero(); });
  Ahead ahead = asked;  // in registers
  for (std::size_t c = begin; c < end; c += Isa::kBytes) {
    ahead.prefetch<Isa::kTileSums, kLines>();
    typename Isa::Row w[n_rows];
    unroll<n_rows>([&](std::size_t r) __attribute__((always_inline)) { w[r] = Isa::load(rows + r * distance + c); });
    unroll<n_tokens>([&](std::size_t t) __attribute__((always_inline)) {
      const typename Isa::Hidden hidden = Isa::load_hidden(x + t * x_step + 2 * c);
      unroll<n_rows>([&](std::size_t r) __attribute__((always_inline)) { sums[t * n_rows + r].add(w[r], hidden); });
    });
  }
  asked = ahead;
  Isa::add_totals(sums, totals);
}

/// `totals`: (n_tokens, n_rows), exact.
template <std::size_t n_rows, std::size_t n_tokens>
void store_logits(const HeadTile& tile, const std::int64_t* totals) {
  const HeadProduct& p = tile.p;
  for (std::size_t t = 0; t < n_tokens; ++t) {
    const HiddenHeader header = header_of(p.operand + (tile.token + t) * token_bytes(p.cols));
    float* y = p.y + (tile.token + t) * p.y_stride;
    for (std::size_t r = 0; r < n_rows; ++r) {
      const std::size_t row = tile.row + r * tile.row_step;
      const auto sum = static_cast<double>(totals[t * n_rows + r] - header.offset);
      y[row] = static_cast<float>(sum * (double{p.scales[row]} * header.step));
    }
  }
}

template <typename Isa, std::size_t n_rows, std::size_t n_tokens>
void multiply_tile(const HeadTile& tile, Ahead& ahead) {
  const std::size_t cols = padded_cols(tile.p.cols);
  std::int64_t totals[n_tokens * n_rows] = {};
  for (std::size_t c = 0; c < cols; c += Isa::kSegmentCols) {
    const std::size_t end = cols - c < Isa::kSegmentCols ? cols : c + Isa::kSegmentCols;
    add_segment<Isa, n_rows, n_tokens>(tile, c, end, ahead, totals);
  }
  store_logits<n_rows, n_tokens>(tile, totals);
}

/// A slice of kTileSums rows and some tokens. As many rows side by side as the registers hold sums for.
template <typename Isa, std::size_t n_tokens>
void multiply_slice(const HeadTile& slice, std::size_t n_passes, Ahead& ahead) {
  constexpr std::size_t kRows = Isa::kTileSums / n_tokens;
  ahead.step = kRows * Isa::kBytes / n_passes;
  for (std::size_t r = 0; r < Isa::kTileSums; r += kRows) {
    multiply_tile<Isa, kRows, n_tokens>({slice.p, slice.row + r * slice.row_step, slice.row_step, slice.token}, ahead);
  }
}

/// A slice of rows stays in the near caches while all tokens pass. Where memory is what takes the time, a slice takes
/// its rows from as many runs of rows, so that all runs are read as streams; else from one place.
template <typename Isa>
void multiply(const HeadProduct& p) {
  constexpr std::size_t kRows = Isa::kTileSums;
  const std::size_t n_passes = p.n_tokens / kTileTokens + p.n_tokens % kTileTokens / 2 + p.n_tokens % 2;
  const std::size_t n_slices = (p.row_end - p.row_begin) / kRows;
  const bool streams = n_passes == 1;
  const std::size_t row_step = streams ? n_slices : 1;
  const std::size_t slice_step = streams ? 1 : kRows;
  std::size_t row = p.row_begin;
  for (std::size_t i = 0; i < n_slices; ++i, row += slice_step) {
    Ahead ahead = {p.rows + (row + slice_step) * p.stride, row_step * p.stride, 0};
    std::size_t t = 0;
    for (; t + kTileTokens <= p.n_tokens; t += kTileTokens) {
      multiply_slice<Isa, kTileTokens>({p, row, row_step, t}, n_passes, ahead);
    }
    for (; t + 2 <= p.n_tokens; t += 2) multiply_slice<Isa, 2>({p, row, row_step, t}, n_passes, ahead);
    for (; t < p.n_tokens; ++t) multiply_slice<Isa, 1>({p, row, row_step, t}, n_passes, ahead);
  }
  for (row = p.row_begin + n_slices * kRows; row < p.row_end; ++row) {
    Ahead nothing = {p.rows + row * p.stride, 0, 0};
    for (std::size_t t = 0; t < p.n_tokens; ++t) multiply_tile<Isa, 1, 1>({p, row, 1, t}, nothing);
  }
}

/// For an instruction set that adds up sum by sum.
template <typename Sum, std::size_t n>
inline __attribute__((always_inline)) void add_each_total(const Sum (&sums)[n], std::int64_t* totals) {
  unroll<n>([&](std::size_t i) __attribute__((always_inline)) { totals[i] += sums[i].total(); });
}

template <typename Set>
constexpr HeadKernels make_head_table(const char* name, Isa isa) {
  return {.name = name,
          .isa = isa,
          .quantize_row_f16 = quantize_row<Set, std::uint16_t>,
          .quantize_row_f32 = quantize_row<Set, float>,
          .operand_bytes = operand_bytes,
          .quantize_hidden = quantize_hidden<Set>,
          .multiply = multiply<Set>};
}

}  // namespace
}  // namespace tern::kernels
