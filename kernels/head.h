#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

/// The contract of the output head with int8 weights: logits = head @ hidden state.
///
///   weights  q = round-half-even(w * (127 / max|w|)) in float, for each row; scale = max|w| / 127 in float
///   hidden   x = round-half-even(h * (kHeadMaxHidden / max|h|)) in double; step = max|h| / kHeadMaxHidden
///   logits   y[t][r] = float(sum over c of q[r][c] * x[t][c] * (scale[r] * step[t])), the sum exact, the rest double
///
/// A weight has 8 bits and a hidden state 15, so that what is lost is the rounding of the weights. A row lies in
/// memory as q + 128, one byte a column, because `vpdpbusd` wants one unsigned side:
///
///     row           | q[0] + 128 | q[1] + 128 | ... | any byte up to a multiple of kHeadAlignment |
namespace tern::kernels {

inline constexpr std::size_t kHeadAlignment = 64;                  // bytes; rows begin at multiples of it
inline constexpr std::size_t kHeadMaxCols = std::size_t{1} << 16;  // see the bounds in head_planes.h and head_wide.h
inline constexpr std::int32_t kHeadMaxHidden = 127 * 128 + 63;     // 128 * high + low, |high| <= 127, |low| <= 64
inline constexpr float kHeadFloor = 0x1p-100f;  // what is all smaller is quantized as if its largest element were this

/// One of the tokens that are multiplied together.
struct HeadToken {
  std::size_t index;
  std::size_t count;
};

/// Rows times tokens.
struct HeadProduct {
  const std::uint8_t* rows;     ///< (n_rows, stride), 64-byte aligned
  std::size_t stride;           ///< bytes from row to row, a multiple of kHeadAlignment
  const float* scales;          ///< (n_rows)
  const std::uint8_t* operand;  ///< of all tokens, 64-byte aligned
  std::size_t cols;
  std::size_t n_tokens;
  std::size_t row_begin;
  std::size_t row_end;
  float* y;              ///< (n_tokens, y_stride)
  std::size_t y_stride;  ///< floats from token to token
};

/// One way to compute it.
///
/// Requires  1 <= cols <= kHeadMaxCols
/// Exact     every table gives the same bits
/// Threads   pure; rows may be split freely
struct HeadKernels {
  const char* name;  // "head-avx2"; unique
  Isa isa;

  /// Quantizes one row and returns its scale; or, when a weight is not finite, returns a number that is not finite
  /// and leaves q unspecified. w, q: (cols), no alignment required.
  float (*quantize_row_f16)(const std::uint16_t* w, std::size_t cols, std::uint8_t* q);
  float (*quantize_row_f32)(const float* w, std::size_t cols, std::uint8_t* q);

  /// Bytes of the operand of n_tokens.
  std::size_t (*operand_bytes)(std::size_t n_tokens, std::size_t cols);
  /// Quantizes one hidden state, (cols), into the operand of all tokens, 64-byte aligned. NaN counts as 0, infinities
  /// saturate.  Threads: several tokens may be quantized at once
  void (*quantize_hidden)(const float* h, std::size_t cols, HeadToken token, std::uint8_t* operand);
  /// Reads rows once, whatever the number of tokens.
  void (*multiply)(const HeadProduct& product);
};

}  // namespace tern::kernels
