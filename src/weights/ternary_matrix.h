#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "src/weights/codec.h"

namespace tern::weights {

/// Weights that share one scale.
enum class ScaleKind : std::uint8_t { kTensor, kRow, kBlock };

/// The scales of a tensor, in the simplest form that loses nothing.
struct ScalePlan {
  ScaleKind kind = ScaleKind::kTensor;
  std::size_t block_cols = 0;    // columns that share a scale within a row; all of them unless kBlock
  std::size_t n_col_blocks = 1;  // cols / block_cols
  std::vector<float> scales;     // kTensor: (1); kRow: (rows); kBlock: (n_col_blocks, rows)
};

/// A ternary matrix as kernels read it: value = (code - 1) * scale.
///
/// Kernels know nothing of scales. So a matrix with one scale per tensor or row is packed as a whole, and of one with
/// scales per block of columns every block (layout->row_block rows, block_cols) is packed on its own:
///
///     | rows 0 ..         columns 0 .. | columns block_cols .. | .. | rows row_block ..  columns 0 .. | ..
struct TernaryMatrix {
  const kernels::TernaryLayout* layout = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  ScaleKind kind = ScaleKind::kTensor;
  std::size_t block_cols = 0;
  std::size_t n_col_blocks = 1;
  std::span<std::uint8_t> weights;          // 64-byte aligned, owned by whoever made the matrix
  std::vector<float> scales;                // as in ScalePlan, but of kBlock none
  std::vector<std::uint16_t> block_scales;  // of kBlock: (n_col_blocks, rows) f16, as every such type has them

  /// One packed block.
  [[nodiscard]] std::uint8_t* block(std::size_t row_block, std::size_t col_block) const noexcept {
    return weights.data() + (row_block * n_col_blocks + col_block) * layout->block_bytes(block_cols);
  }
  /// Bytes of weights and scales.
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return weights.size() + scales.size() * sizeof(float) + block_scales.size() * sizeof(std::uint16_t);
  }
};

/// Reads and checks all scales of a tensor. Of scales that are all equal only one is kept; where a block holds only
/// zeros its scale may be 0 and does not count; where a type has no zeros, a scale of 0 is one like others.
///
/// Cost      touches every page of the tensor when it has scales per block
/// Errors    Error(kBadFile): a scale that is not finite or not positive; Error(kUnsupported): more columns than a
///           kernel can add up
[[nodiscard]] ScalePlan plan_scales(const std::string& source, const format::TensorInfo& tensor,
                                    const TensorCodec& codec);

/// Bytes of packed weights, without scales: a multiple of 64. Without a plan: as if one scale fits all.
[[nodiscard]] std::size_t packed_bytes(const kernels::TernaryLayout& layout, std::size_t rows, std::size_t cols);
[[nodiscard]] std::size_t packed_bytes(const kernels::TernaryLayout& layout, std::size_t rows, std::size_t cols,
                                       const ScalePlan& plan);

/// A matrix over the first packed_bytes() of `memory`, to be filled by pack_rows().
/// Requires memory that is 64-byte aligned and that stays; kernels read up to 64 bytes past the matrix.
[[nodiscard]] TernaryMatrix make_ternary_matrix(const kernels::TernaryLayout& layout, std::size_t rows,
                                                std::size_t cols, ScalePlan plan, std::span<std::uint8_t> memory);

/// Bytes that pack_rows() needs to unpack one block of rows.
[[nodiscard]] std::size_t pack_scratch_bytes(const TernaryMatrix& matrix) noexcept;

/// Repacks rows [row_begin, row_end) of a tensor into the matrix's layout. Returns the row in which a code is not
/// ternary (what was packed is then of no use), or nothing.
///
/// Requires  row_begin a multiple of the layout's row_block, row_end too or the number of rows
/// Threads   pure; disjoint ranges of rows may be packed at the same time, each with its own scratch
[[nodiscard]] std::optional<std::size_t> pack_rows(const format::TensorInfo& tensor, const TensorCodec& codec,
                                                   std::size_t row_begin, std::size_t row_end,
                                                   const TernaryMatrix& matrix, std::span<std::uint8_t> scratch);

}  // namespace tern::weights
