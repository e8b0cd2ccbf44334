#include "src/weights/ternary_matrix.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/base/check.h"
#include "src/base/half.h"
#include "src/base/printable.h"

namespace tern::weights {
namespace {

constexpr std::uint8_t kZeroCode = 1;

/// A tensor as rows of blocks that share a scale; with one scale for the whole tensor, every row is one block.
struct ScaledRows {
  const format::TensorInfo& tensor;
  const TensorCodec& codec;
  std::size_t rows;
  std::size_t cols;
  std::size_t block_cols;
  std::size_t n_blocks;       // in a row
  std::vector<float> scales;  // (rows, n_blocks), or (1) for the whole tensor

  ScaledRows(const format::TensorInfo& t, const TensorCodec& c)
      : tensor(t),
        codec(c),
        rows(static_cast<std::size_t>(t.n_elements / t.cols())),
        cols(static_cast<std::size_t>(t.cols())),
        block_cols(c.scale_cols(cols)),
        n_blocks(cols / block_cols),
        scales(whole() ? 1 : rows * n_blocks) {
    for (std::size_t row = 0; row < (whole() ? 1 : rows); ++row) {
      codec.read_scales(t.data.data(), static_cast<std::size_t>(t.n_elements), row, cols,
                        scales.data() + row * n_blocks);
    }
  }

  [[nodiscard]] bool whole() const noexcept { return codec.scale_elements == 0; }
  [[nodiscard]] std::span<const float> row_scales(std::size_t row) const noexcept {
    return std::span(scales).subspan(whole() ? 0 : row * n_blocks, n_blocks);
  }
};

/// The first block of a row whose scale is 0 though not all of its weights are.  codes: (cols), scratch
std::optional<std::size_t> find_lost_block(const ScaledRows& scaled, std::size_t row, std::span<std::uint8_t> codes) {
  const bool ternary = scaled.codec.unpack_row(scaled.tensor.data.data(), row, scaled.cols, codes.data());
  for (std::size_t b = 0; b < scaled.n_blocks; ++b) {
    const auto block = codes.subspan(b * scaled.block_cols, scaled.block_cols);
    const bool zeros = ternary && std::all_of(block.begin(), block.end(), [](auto code) { return code == kZeroCode; });
    if (scaled.row_scales(row)[b] == 0 && !zeros) return b;
  }
  return std::nullopt;
}

void check_scales(const std::string& source, const ScaledRows& scaled) {
  const auto refuse = [&](std::size_t row, std::size_t block) {
    fail(ErrorKind::kBadFile,
         "{}: tensor '{}': row {}, block {}: expected a finite scale above 0 (or 0 over zeros), found {}", source,
         printable(scaled.tensor.name), row, block, scaled.row_scales(row)[block]);
  };
  std::vector<std::uint8_t> codes(scaled.cols);
  for (std::size_t row = 0; row < scaled.rows; ++row) {
    bool zero = false;
    for (std::size_t b = 0; b < scaled.n_blocks; ++b) {
      const float scale = scaled.row_scales(row)[b];
      if (!std::isfinite(scale) || scale < 0) refuse(row, b);
      zero = zero || scale == 0;
    }
    if (!zero || !scaled.codec.has_zero) continue;
    if (const auto block = find_lost_block(scaled, row, codes)) refuse(row, *block);
  }
}

/// The one value that all scales share; nothing when there are two. Where `has_zero`, a scale of 0 is that of weights
/// which are all 0 (check_scales), and left aside.
std::optional<float> common_scale(std::span<const float> scales, bool has_zero) {
  float common = has_zero ? 0 : scales[0];
  for (const float scale : scales) {
    if (scale == common || (has_zero && scale == 0)) continue;
    if (common != 0 || !has_zero) return std::nullopt;
    common = scale;
  }
  return common;
}

/// One scale per row, if that is possible.  scales: (rows, n_blocks)
std::optional<std::vector<float>> scales_by_row(std::span<const float> scales, std::size_t n_blocks, bool has_zero) {
  std::vector<float> by_row;
  for (std::size_t at = 0; at < scales.size(); at += n_blocks) {
    const std::optional<float> common = common_scale(scales.subspan(at, n_blocks), has_zero);
    if (!common) return std::nullopt;
    by_row.push_back(*common);
  }
  return by_row;
}

/// (rows, n_blocks) to (n_blocks, rows)
std::vector<float> transpose(std::span<const float> scales, std::size_t n_blocks) {
  const std::size_t rows = scales.size() / n_blocks;
  std::vector<float> transposed(scales.size());
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t b = 0; b < n_blocks; ++b) transposed[b * rows + row] = scales[row * n_blocks + b];
  }
  return transposed;
}

std::size_t sub_matrix_bytes(const kernels::TernaryLayout& layout, std::size_t rows, std::size_t cols) {
  return (rows + layout.row_block - 1) / layout.row_block * layout.block_bytes(cols);
}

}  // namespace

ScalePlan plan_scales(const std::string& source, const format::TensorInfo& tensor, const TensorCodec& codec) {
  if (tensor.cols() > kernels::kMaxCols) {
    fail(ErrorKind::kUnsupported, "{}: tensor '{}': expected at most {} columns, found {}", source,
         printable(tensor.name), kernels::kMaxCols, tensor.cols());
  }
  const ScaledRows scaled(tensor, codec);
  check_scales(source, scaled);
  if (const auto common = common_scale(scaled.scales, codec.has_zero))
    return {ScaleKind::kTensor, scaled.cols, 1, {*common}};
  if (auto by_row = scales_by_row(scaled.scales, scaled.n_blocks, codec.has_zero)) {
    return {ScaleKind::kRow, scaled.cols, 1, std::move(*by_row)};
  }
  return {ScaleKind::kBlock, scaled.block_cols, scaled.n_blocks, transpose(scaled.scales, scaled.n_blocks)};
}

std::size_t packed_bytes(const kernels::TernaryLayout& layout, std::size_t rows, std::size_t cols) {
  return sub_matrix_bytes(layout, rows, cols);
}

std::size_t packed_bytes(const kernels::TernaryLayout& layout, std::size_t rows, std::size_t cols,
                         const ScalePlan& plan) {
  TERN_DCHECK(plan.n_col_blocks * plan.block_cols == cols);
  return plan.n_col_blocks * sub_matrix_bytes(layout, rows, cols / plan.n_col_blocks);
}

TernaryMatrix make_ternary_matrix(const kernels::TernaryLayout& layout, std::size_t rows, std::size_t cols,
                                  ScalePlan plan, std::span<std::uint8_t> memory) {
  const std::size_t bytes = packed_bytes(layout, rows, cols, plan);
  TERN_DCHECK(memory.size() >= bytes);
  std::vector<std::uint16_t> block_scales;
  if (plan.kind == ScaleKind::kBlock) {
    for (const float scale : plan.scales) {
      block_scales.push_back(f32_to_f16(scale));
      TERN_DCHECK(f16_to_f32(block_scales.back()) == scale);
    }
    plan.scales.clear();
  }
  return {.layout = &layout,
          .rows = rows,
          .cols = cols,
          .kind = plan.kind,
          .block_cols = plan.block_cols,
          .n_col_blocks = plan.n_col_blocks,
          .weights = memory.first(bytes),
          .scales = std::move(plan.scales),
          .block_scales = std::move(block_scales)};
}

std::size_t pack_scratch_bytes(const TernaryMatrix& matrix) noexcept { return matrix.layout->row_block * matrix.cols; }

std::optional<std::size_t> pack_rows(const format::TensorInfo& tensor, const TensorCodec& codec, std::size_t row_begin,
                                     std::size_t row_end, const TernaryMatrix& matrix,
                                     std::span<std::uint8_t> scratch) {
  const kernels::TernaryLayout& layout = *matrix.layout;
  TERN_DCHECK(row_begin % layout.row_block == 0 && row_end <= matrix.rows);
  TERN_DCHECK(scratch.size() >= pack_scratch_bytes(matrix));
  std::uint8_t* codes = scratch.data();  // (row_block, cols)
  for (std::size_t row = row_begin; row < row_end; row += layout.row_block) {
    const std::size_t n_rows = std::min(layout.row_block, row_end - row);
    for (std::size_t r = 0; r < n_rows; ++r) {
      if (!codec.unpack_row(tensor.data.data(), row + r, matrix.cols, codes + r * matrix.cols)) return row + r;
    }
    for (std::size_t b = 0; b < matrix.n_col_blocks; ++b) {
      layout.pack(codes + b * matrix.block_cols, matrix.cols, n_rows, matrix.block_cols,
                  matrix.block(row / layout.row_block, b));
    }
  }
  return std::nullopt;
}

}  // namespace tern::weights
