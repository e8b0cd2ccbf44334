#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/head.h"

/// The output head once for every instruction set but the scalar one.
///
/// An instruction set is a struct with
///   kBytes                            columns of a row that one register holds; divides kHeadAlignment
///   kSegmentCols                      columns whose sums cannot overflow; a multiple of kHeadAlignment
///   Row, load(p)                      kBytes columns of a row, as the multiplication wants them
///   Sum: add(row, x), total()         the exact sum of (q + 128) * x over up to kSegmentCols columns
///   pack(x, n, out)                   n integers, n <= kBytes, to 2 * kBytes bytes of the operand; zeros fill it up
///   to_bytes(w, scale, q)             16 weights, floats or halves, to bytes
///
/// An operand is the header and then 2 bytes a column:
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

inline std::size_t operand_bytes(std::size_t cols) { return kOperandHeader + 2 * padded_cols(cols); }

/// round-half-even(h * scale), NaN as 0.
inline std::int32_t hidden_integer(float h, double scale) {
  constexpr double kLimit = kHeadMaxHidden;
  double v = double{h} * scale;
  v = v < kLimit ? v : (v >= kLimit ? kLimit : 0.0);
  v = v > -kLimit ? v : -kLimit;
  return static_cast<std::int32_t>(std::bit_cast<std::uint64_t>(v + 0x1.8p52));  // low bits: the nearest integer
}

template <typename Isa>
void quantize_hidden(const float* h, std::size_t cols, std::uint8_t* operand) {
  float largest = kHeadFloor;
  for (std::size_t c = 0; c < cols; ++c) {
    const float magnitude = std::bit_cast<float>(magnitude_bits(h[c]));
    largest = magnitude > largest ? magnitude : largest;  // false for NaN
  }
  constexpr float kMaxFloat = 0x1.fffffep127f;
  largest = largest < kMaxFloat ? largest : kMaxFloat;
  const double scale = double{kHeadMaxHidden} / double{largest};
  std::int64_t sum = 0;
  std::uint8_t* out = operand + kOperandHeader;
  for (std::size_t begin = 0; begin < padded_cols(cols); begin += Isa::kBytes, out += 2 * Isa::kBytes) {
    std::int32_t x[Isa::kBytes] = {};
    for (std::size_t i = 0; i < Isa::kBytes && begin + i < cols; ++i) {
      x[i] = hidden_integer(h[begin + i], scale);
      sum += x[i];
    }
    Isa::pack(x, out);
  }
  const HiddenHeader header = {double{largest} / double{kHeadMaxHidden}, 128 * sum};
  std::memcpy(operand, &header, sizeof header);
}

// --- products ---------------------------------------------------------------------------------------------------

inline constexpr std::size_t kTileRows = 2;    // rows and tokens that are multiplied side by side, where there are
inline constexpr std::size_t kTileTokens = 4;  // several tokens
inline constexpr std::size_t kBlockRows = 8;   // rows that stay in the first cache while all tokens pass

/// A tile of the product.
struct HeadTile {
  const HeadProduct& p;
  std::size_t row;
  std::size_t token;
};

template <typename Isa, std::size_t n_rows, std::size_t n_tokens>
inline void add_segment(const HeadTile& tile, std::size_t begin, std::size_t end, std::int64_t* totals) {
  const std::size_t token_bytes = operand_bytes(tile.p.cols);
  const std::uint8_t* rows = tile.p.rows + tile.row * tile.p.stride;
  const std::uint8_t* x = tile.p.operand + tile.token * token_bytes + kOperandHeader;
  typename Isa::Sum sums[n_rows][n_tokens];
  for (std::size_t c = begin; c < end; c += Isa::kBytes) {
    typename Isa::Row w[n_rows];
    for (std::size_t r = 0; r < n_rows; ++r) w[r] = Isa::load(rows + r * tile.p.stride + c);
    for (std::size_t t = 0; t < n_tokens; ++t) {
      for (std::size_t r = 0; r < n_rows; ++r) sums[r][t].add(w[r], x + t * token_bytes + 2 * c);
    }
  }
  for (std::size_t r = 0; r < n_rows; ++r) {
    for (std::size_t t = 0; t < n_tokens; ++t) totals[r * n_tokens + t] += sums[r][t].total();
  }
}

template <typename Isa, std::size_t n_rows, std::size_t n_tokens>
void multiply_tile(const HeadTile& tile) {
  const HeadProduct& p = tile.p;
  const std::size_t cols = padded_cols(p.cols);
  std::int64_t totals[n_rows * n_tokens] = {};
  for (std::size_t c = 0; c < cols; c += Isa::kSegmentCols) {
    add_segment<Isa, n_rows, n_tokens>(tile, c, cols - c < Isa::kSegmentCols ? cols : c + Isa::kSegmentCols, totals);
  }
  for (std::size_t t = 0; t < n_tokens; ++t) {
    const HiddenHeader header = header_of(p.operand + (tile.token + t) * operand_bytes(p.cols));
    float* y = p.y + (tile.token + t) * p.y_stride + tile.row;
    for (std::size_t r = 0; r < n_rows; ++r) {
      const auto sum = static_cast<double>(totals[r * n_tokens + t] - header.offset);
      y[r] = static_cast<float>(sum * (double{p.scales[tile.row + r]} * header.step));
    }
  }
}

template <typename Isa, std::size_t n_tokens>
void multiply_rows(const HeadProduct& p, std::size_t row, std::size_t row_end, std::size_t token) {
  for (; row + kTileRows <= row_end; row += kTileRows) multiply_tile<Isa, kTileRows, n_tokens>({p, row, token});
  for (; row < row_end; ++row) multiply_tile<Isa, 1, n_tokens>({p, row, token});
}

template <typename Isa>
void multiply(const HeadProduct& p) {
  for (std::size_t row = p.row_begin; row < p.row_end; row += kBlockRows) {
    const std::size_t end = p.row_end - row < kBlockRows ? p.row_end : row + kBlockRows;
    std::size_t t = 0;
    for (; t + kTileTokens <= p.n_tokens; t += kTileTokens) multiply_rows<Isa, kTileTokens>(p, row, end, t);
    for (; t + 2 <= p.n_tokens; t += 2) multiply_rows<Isa, 2>(p, row, end, t);
    for (; t < p.n_tokens; ++t) multiply_rows<Isa, 1>(p, row, end, t);
  }
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
