#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/float_constants.h"
#include "kernels/kernels.h"

/// The contract of the attention kernels: a few queries against one chunk of the keys and values of their head.
namespace tern::kernels {

inline constexpr std::size_t kAttentionRows = 8;     // queries of a tile
inline constexpr std::size_t kAttentionChunk = 256;  // positions whose softmax is taken at once; a multiple of 16

/// Products that are added up before they join a score or a result: several short sums round less than a long one, and
/// the rounding of activations to int8 that follows makes much of little. A segment of scores is some elements of a
/// head, one of results some positions of a chunk.
inline constexpr std::size_t kAttentionSegment = 16;

/// Integers of attend_i8: a code of the cache times a query or a weight, summed over a head or a chunk, stays in int32.
inline constexpr std::int32_t kAttentionMaxCode = 127;
inline constexpr std::int32_t kAttentionMaxWeight = 32767;
inline constexpr std::size_t kAttentionMaxHeadDim = 4096;  // of keys and values of 8 bits
static_assert(std::int64_t{kAttentionChunk} * kAttentionMaxWeight * kAttentionMaxCode < std::int64_t{1} << 31);

/// What is all smaller is made integers as if its largest element were this.
inline constexpr float kAttentionQuantFloor = 0x1p-100f;

// Functions here are `static`, as in layout_rows64.h: files of every instruction set include them.

/// The largest integer of a query: 15 bits and a sign up to head_dim 516, 12 bits at kAttentionMaxHeadDim.
static constexpr std::int32_t attention_max_query(std::size_t head_dim) {
  const auto bound = static_cast<std::int32_t>(0x7fffffff / (static_cast<std::size_t>(kAttentionMaxCode) * head_dim));
  return bound < 32767 ? bound : 32767;
}

/// Scores this far below the largest have weight 0: exp of it is about 2^-126, the smallest normal float.
inline constexpr float kAttentionFloor = -87.0f;

/// Columns of a row of values: head_dim, filled up to whole groups of 16 with zeros.
static constexpr std::size_t value_dim(std::size_t head_dim) { return (head_dim + kLanes - 1) / kLanes * kLanes; }

/// Elements of a key of 8 bits: head_dim, filled up to whole pairs with a zero.
static constexpr std::size_t i8_key_dim(std::size_t head_dim) { return (head_dim + 1) / 2 * 2; }

/// Floats of an AttentionTile's scratch: weights, (kAttentionRows, kAttentionChunk), and as 16-bit integers queries,
/// (kAttentionRows, value_dim), and then weights, (kAttentionRows, kAttentionChunk).
static constexpr std::size_t attention_scratch(std::size_t head_dim) {
  const std::size_t n_integers = value_dim(head_dim) > kAttentionChunk ? value_dim(head_dim) : kAttentionChunk;
  return kAttentionRows * (kAttentionChunk + n_integers / 2);
}

/// The softmax of a tile over some positions, before its division: a row has read sum(exp(score - max) * value).
struct AttentionPart {
  float* max;     ///< (kAttentionRows) the largest score
  float* sum;     ///< (kAttentionRows) of exp(score - max)
  float* values;  ///< (kAttentionRows, value_dim) sum of exp(score - max) * value
};

/// Up to kAttentionRows queries that share a key-value head, and one chunk of its positions. A query is one head of one
/// token.
struct AttentionTile {
  std::size_t head_dim;
  std::size_t n_rows;
  float scale;                           ///< of scores
  const float* queries[kAttentionRows];  ///< (head_dim) each; those past n_rows repeat one of the others
  const std::size_t* n_visible;  ///< (n_rows) positions that a row sees, ascending, the last > 0, <= kAttentionChunk
  const std::size_t* n_hidden;   ///< (n_rows) the first of these that a row does not see after all; null: none
  const std::uint8_t* keys;      ///< (blocks of 16 positions, head_dim, 16); whole blocks can be read
  const std::uint8_t* values;    ///< (positions, value_dim)
  const float* key_scales;       ///< attend_i8: (positions, in whole blocks) real values of a step, finite, >= 0
  const float* value_scales;     ///< attend_i8: (positions, in whole blocks) as well
  float* scratch;                ///< (attention_scratch(head_dim))
  AttentionPart part;            ///< the result; rows that see nothing are left undefined
};

/// Attention over keys and values of one number type each.
///
/// Floats and halves. The scores of 16 positions lie in 16 lanes and each is summed over head_dim by segments, in index
/// order; so are the results, over positions: no sum needs a tree but that of the exponentials (lane = position mod 16,
/// see FloatKernels). Products are fused into sums, in hardware or by arithmetic that rounds alike.
///
/// Integers of 8 bits, |code| <= kAttentionMaxCode. Both products are exact sums of integers, for which a row's queries
/// and weights are rounded; n = attention_max_query(head_dim), m = kAttentionMaxWeight, max() at least
/// kAttentionQuantFloor:
///
///   query    x[d] = round-half-even(q[d] * (n / max|q|)), NaN as 0, infinities saturate
///   score    float(sum over d of x[d] * key[j][d]) * ((max|q| / n) * scale) * key_scale[j]
///   weight   w[j] = exp(score[j] - max score) * value_scale[j]
///            y[j] = round-half-even(w[j] * (m / max(w))), NaN as 0: the sum of the exponentials is NaN then
///   result   float(sum over j of y[j] * value[j][d]) * (max(w) / m)
///
/// Both sums go over pairs, the unit of the instructions, so pairs lie side by side:
///
///   keys     (blocks of 16 positions, i8_key_dim / 2, 16, 2)   two elements of a position
///   values   (pairs of positions, value_dim, 2)                an element of two positions
///
/// The position behind an odd last one is read but has no weight.
///
/// Hidden positions have weight 0, as if their scores were minus infinity.
///
/// Exact  every table gives the same bits, and a row's do not depend on the rows beside it. The exponential is that of
///        ExpConstants, its products fused as well, and 0 below kAttentionFloor.
struct AttentionKernels {
  const char* name;
  Isa isa;

  void (*attend_f32)(const AttentionTile& tile);
  void (*attend_f16)(const AttentionTile& tile);
  void (*attend_i8)(const AttentionTile& tile);  ///< head_dim <= kAttentionMaxHeadDim
  /// into's row = the softmax over the positions of both. Where positions are cut into chunks, chunks are merged in
  /// order.
  void (*merge)(const AttentionPart& from, std::size_t row, std::size_t head_dim, const AttentionPart& into);
  /// y[d] = values[d] / sum.  y: (head_dim)
  void (*finish)(const AttentionPart& part, std::size_t row, std::size_t head_dim, float* y);
};

}  // namespace tern::kernels
