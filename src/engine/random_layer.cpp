#include "src/engine/random_layer.h"

#include <cstring>

#include "src/base/check.h"

namespace tern::engine {
namespace {

constexpr std::size_t kTail = 64 * 1024;  // bytes that kernels may prefetch behind the last weight

}  // namespace

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

nn::Linear RandomLayers::make(const kernels::TernaryLayout& layout, std::size_t rows, std::size_t cols) {
  const std::size_t bytes = weights::packed_bytes(layout, rows, cols);
  TERN_DCHECK(used_ + bytes + kTail <= memory_.span().size());
  nn::Linear layer;
  layer.rows = rows;
  layer.cols = cols;
  layer.ternary = {.layout = &layout,
                   .rows = rows,
                   .cols = cols,
                   .kind = weights::ScaleKind::kTensor,
                   .block_cols = cols,
                   .n_col_blocks = 1,
                   .weights = memory_.span().subspan(used_, bytes),
                   .scales = {1.0f},
                   .block_scales = {}};
  used_ += bytes;
  return layer;
}

}  // namespace tern::engine
