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

/// Scores this far below the largest have weight 0: exp of it is about 2^-126, the smallest normal float.
inline constexpr float kAttentionFloor = -87.0f;

/// Columns of a row of values: head_dim, filled up to whole groups of 16 with zeros.
constexpr std::size_t value_dim(std::size_t head_dim) { return (head_dim + kLanes - 1) / kLanes * kLanes; }

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
  const std::uint8_t* keys;      ///< (blocks of 16 positions, head_dim, 16); whole blocks can be read
  const std::uint8_t* values;    ///< (positions, value_dim)
  const float* key_scales;       ///< (positions, in whole blocks) factors of the keys; or null
  const float* value_scales;     ///< (positions, in whole blocks) factors of the values; or null
  float* weights;                ///< scratch, (kAttentionRows, kAttentionChunk)
  AttentionPart part;            ///< the result; rows that see nothing are left undefined
};

/// Attention over keys and values of one number type each.
///
/// The scores of 16 positions lie in 16 lanes and each is summed over head_dim by segments, in index order; so are the
/// results, over positions: no sum needs a tree but that of the exponentials (lane = position mod 16, see
/// FloatKernels).
///
/// Exact  every table gives the same bits, and a row's do not depend on the rows beside it. Products are fused into
///        sums, in hardware or by arithmetic that rounds alike. The exponential is that of ExpConstants, its products
///        fused as well, and 0 below kAttentionFloor.
struct AttentionKernels {
  const char* name;
  Isa isa;

  void (*attend_f32)(const AttentionTile& tile);
  void (*attend_f16)(const AttentionTile& tile);
  void (*attend_i8)(const AttentionTile& tile);
  /// y[i] = codes[i].  n: a multiple of 16
  void (*widen_i8)(const std::int8_t* codes, std::size_t n, float* y);
  /// into's row = the softmax over the positions of both. Where positions are cut into chunks, chunks are merged in
  /// order.
  void (*merge)(const AttentionPart& from, std::size_t row, std::size_t head_dim, const AttentionPart& into);
  /// y[d] = values[d] / sum.  y: (head_dim)
  void (*finish)(const AttentionPart& part, std::size_t row, std::size_t head_dim, float* y);
};

}  // namespace tern::kernels
