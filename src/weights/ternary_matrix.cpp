#include "src/weights/ternary_matrix.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/base/check.h"
#include "src/base/printable.h"

namespace tern::weights {
namespace {

constexpr std::uint8_t kZeroCode = 1;

/// A tensor as its codec sees it: rows of blocks that have a scale each.
struct ScaledRows {
  const format::TensorInfo& tensor;
  const TensorCodec& codec;
  std::size_t rows;
  std::size_t cols;
  std::size_t row_scales;  // scales in a row; 0 = one for the whole tensor

  ScaledRows(const format::TensorInfo& t, const TensorCodec& c)
      : tensor(t),
        codec(c),
        rows(static_cast<std::size_t>(t.n_elements / t.cols())),
        cols(static_cast<std::size_t>(t.cols())),
        row_scales(c.scale_elements == 0 ? 0 : cols / c.scale_elements) {}

  /// (rows, row_scales), or (1)
  [[nodiscard]] std::vector<float> read() const {
    const bool whole = row_scales == 0;
    std::vector<float> scales(whole ? 1 : rows * row_scales);
    for (std::size_t row = 0; row < (whole ? 1 : rows); ++row) {
      codec.read_scales(tensor.data.data(), static_cast<std::size_t>(tensor.n_elements), row, cols,
                        scales.data() + row * row_scales);
    }
    return scales;
  }

  /// Whether all weights under scale `index` are zero.
  [[nodiscard]] bool only_zeros(std::size_t index) const {
    const bool whole = row_scales == 0;
    const std::size_t first_row = whole ? 0 : index / row_scales;
    const std::size_t end_row = whole ? rows : first_row + 1;
    const std::size_t begin = whole ? 0 : index % row_scales * codec.scale_elements;
    const std::size_t end = whole ? cols : begin + codec.scale_elements;
    std::vector<std::uint8_t> codes(cols);
    for (std::size_t row = first_row; row < end_row; ++row) {
      if (!codec.unpack_row(tensor.data.data(), row, cols, codes.data())) return false;
      for (std::size_t c = begin; c < end; ++c) {
        if (codes[c] != kZeroCode) return false;
      }
    }
    return true;
  }
};

void check_scales(const std::string& source, const ScaledRows& scaled, std::span<const float> scales) {
  for (std::size_t i = 0; i < scales.size(); ++i) {
    if (std::isfinite(scales[i]) && scales[i] > 0) continue;
    if (scales[i] == 0 && scaled.only_zeros(i)) continue;
    const std::size_t row = scaled.row_scales == 0 ? 0 : i / scaled.row_scales;
    const std::size_t block = scaled.row_scales == 0 ? 0 : i % scaled.row_scales;
    fail(ErrorKind::kBadFile,
         "{}: tensor '{}': row {}, block {}: expected a finite scale above 0 (or 0 over zeros), found {}", source,
         printable(scaled.tensor.name), row, block, scales[i]);
  }
}

/// The one value that all scales share, those of all-zero blocks (0) left aside; nothing when there are two.
std::optional<float> common_scale(std::span<const float> scales) {
  float common = 0;
  for (const float scale : scales) {
    if (scale == 0 || scale == common) continue;
    if (common != 0) return std::nullopt;
    common = scale;
  }
  return common;
}

/// One scale per row, if that is possible.  scales: (rows, row_scales)
std::optional<std::vector<float>> scales_by_row(std::span<const float> scales, std::size_t row_scales) {
  std::vector<float> by_row;
  for (std::size_t at = 0; at < scales.size(); at += row_scales) {
    const std::optional<float> common = common_scale(scales.subspan(at, row_scales));
    if (!common) return std::nullopt;
    by_row.push_back(*common);
  }
  return by_row;
}

/// (rows, row_scales) to (row_scales, rows)
std::vector<float> transpose(std::span<const float> scales, std::size_t row_scales) {
  const std::size_t rows = scales.size() / row_scales;
  std::vector<float> transposed(scales.size());
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t b = 0; b < row_scales; ++b) transposed[b * rows + row] = scales[row * row_scales + b];
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
  const std::vector<float> scales = scaled.read();
  check_scales(source, scaled, scales);
  if (const auto common = common_scale(scales)) return {ScaleKind::kTensor, scaled.cols, 1, {*common}};
  if (auto by_row = scales_by_row(scales, scaled.row_scales)) {
    return {ScaleKind::kRow, scaled.cols, 1, std::move(*by_row)};
  }
  return {ScaleKind::kBlock, codec.scale_elements, scaled.row_scales, transpose(scales, scaled.row_scales)};
}

std::size_t packed_bytes(const kernels::TernaryKernel& kernel, std::size_t rows, std::size_t cols) {
  return sub_matrix_bytes(*kernel.layout, rows, cols);
}

std::size_t packed_bytes(const kernels::TernaryKernel& kernel, std::size_t rows, std::size_t cols,
                         const ScalePlan& plan) {
  TERN_DCHECK(plan.n_col_blocks * plan.block_cols == cols);
  return plan.n_col_blocks * sub_matrix_bytes(*kernel.layout, rows, cols / plan.n_col_blocks);
}

TernaryMatrix make_ternary_matrix(const kernels::TernaryKernel& kernel, std::size_t rows, std::size_t cols,
                                  ScalePlan plan, std::span<std::uint8_t> memory) {
  const std::size_t bytes = packed_bytes(kernel, rows, cols, plan);
  TERN_DCHECK(memory.size() >= bytes);
  return {.kernel = &kernel,
          .rows = rows,
          .cols = cols,
          .kind = plan.kind,
          .block_cols = plan.block_cols,
          .n_col_blocks = plan.n_col_blocks,
          .weights = memory.first(bytes),
          .scales = std::move(plan.scales)};
}

std::size_t pack_scratch_bytes(const TernaryMatrix& matrix) noexcept {
  return matrix.kernel->layout->row_block * matrix.cols;
}

std::optional<std::size_t> pack_rows(const format::TensorInfo& tensor, const TensorCodec& codec, std::size_t row_begin,
                                     std::size_t row_end, const TernaryMatrix& matrix,
                                     std::span<std::uint8_t> scratch) {
  const kernels::TernaryLayout& layout = *matrix.kernel->layout;
  TERN_DCHECK(row_begin % layout.row_block == 0 && row_end <= matrix.rows);
  TERN_DCHECK(scratch.size() >= pack_scratch_bytes(matrix));
  const std::size_t block_bytes = layout.block_bytes(matrix.block_cols);
  std::uint8_t* codes = scratch.data();  // (row_block, cols)
  for (std::size_t row = row_begin; row < row_end; row += layout.row_block) {
    const std::size_t n_rows = std::min(layout.row_block, row_end - row);
    for (std::size_t r = 0; r < n_rows; ++r) {
      if (!codec.unpack_row(tensor.data.data(), row + r, matrix.cols, codes + r * matrix.cols)) return row + r;
    }
    for (std::size_t b = 0; b < matrix.n_col_blocks; ++b) {
      layout.pack(codes + b * matrix.block_cols, matrix.cols, n_rows, matrix.block_cols,
                  matrix.col_block(b) + row / layout.row_block * block_bytes);
    }
  }
  return std::nullopt;
}

}  // namespace tern::weights
