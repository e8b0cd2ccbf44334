#include "src/engine/random_layer.h"

#include <cstring>
#include <utility>

#include "src/base/check.h"

namespace tern::engine {
namespace {

constexpr std::size_t kTail = 64 * 1024;  // bytes that kernels may prefetch behind the last weight

/// Where its scales stand, without any.
weights::ScalePlan plan_of(const LayerShape& shape) {
  if (shape.scale_cols == 0) return {.block_cols = shape.cols, .scales = {}};
  return {.kind = weights::ScaleKind::kBlock,
          .block_cols = shape.scale_cols,
          .n_col_blocks = shape.cols / shape.scale_cols,
          .scales = {}};
}

}  // namespace

std::size_t packed_bytes(const kernels::TernaryLayout& layout, const LayerShape& shape) {
  return weights::packed_bytes(layout, shape.rows, shape.cols, plan_of(shape));
}

void RandomLayers::reserve(std::size_t bytes) {
  used_ = 0;
  if (memory_.span().size() >= bytes + kTail) return;
  memory_ = HugeBuffer(bytes + kTail);
  const std::span<std::uint8_t> span = memory_.span();
  std::uint64_t state = 1;
  for (std::size_t i = 0; i + sizeof state <= span.size(); i += sizeof state) {
    // Xorshift. Source: Marsaglia 2003, "Xorshift RNGs", Journal of Statistical Software 8(14)
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    std::memcpy(span.data() + i, &state, sizeof state);
  }
}

nn::Linear RandomLayers::make(const kernels::TernaryLayout& layout, const LayerShape& shape) {
  const std::size_t bytes = packed_bytes(layout, shape);
  TERN_DCHECK(used_ + bytes + kTail <= memory_.span().size());
  weights::ScalePlan plan = plan_of(shape);
  plan.scales.assign(plan.kind == weights::ScaleKind::kBlock ? plan.n_col_blocks * shape.rows : 1, 1.0f);
  nn::Linear layer;
  layer.rows = shape.rows;
  layer.cols = shape.cols;
  layer.ternary = weights::make_ternary_matrix(layout, shape.rows, shape.cols, std::move(plan),
                                               memory_.span().subspan(used_, bytes));
  used_ += bytes;
  return layer;
}

}  // namespace tern::engine
