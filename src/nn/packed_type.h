#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/kernels.h"
#include "src/format/gguf.h"
#include "src/nn/head.h"
#include "src/weights/ternary_matrix.h"

/// Tensor types of tern's own: weights that lie in a file as kernels read them, so that a mapped file needs no
/// repacking. The shape of such a tensor is that of the matrix; the number of its type says the rest.
///
///     bits 31-24    0x54, far from the numbers that others use
///     bits 23-16    1 "plain", 2 "rows64", 3 "tile16x4", 4 "e5"; 254 checksums; 255 int8 head
///     bits 15-0     of a layout: 0 one scale, 1 a scale for each row, n one for n columns of a row
///
/// A layout that changes by one bit gets another number, so that no file is ever read as what it is not.
///
///     layout        | packed blocks of rows, see TernaryMatrix | scales                            | zeros |
///     int8 head     | rows, see kernels/head.h                 | scales: f32 (rows)                | zeros |
///     checksums     | u64 (cols) |
///
///     scales        f32 (1), f32 (rows), or f16 (n_col_blocks, rows); with the zeros a multiple of 64 bytes
///
/// Codes are not looked at, which would cost a pass over the file at every start. Whatever they are, kernels stay
/// within their memory: a byte selects from a table that has an entry for each of its values, and what it selects is a
/// pattern of signs or a number in a sum of registers, which may wrap around; none is ever an address.
namespace tern::nn {

/// How a ternary matrix is packed.
struct PackedType {
  const kernels::TernaryLayout* layout = nullptr;
  weights::ScaleKind kind = weights::ScaleKind::kTensor;
  std::size_t block_cols = 0;  // of kBlock: columns that share a scale
};

/// The type of a tensor for such a matrix. Requires a layout that has a number, and block_cols < 65536.
[[nodiscard]] std::uint32_t type_number(const PackedType& type);
/// The reverse; nothing when it is another type, or when no kernel of this build reads the layout.
[[nodiscard]] std::optional<PackedType> find_packed_type(std::uint32_t type_number);

inline constexpr std::uint32_t kInt8HeadType = 0x54ff0000;
inline constexpr std::uint32_t kChecksumsType = 0x54fe0000;

/// Whether it is any of the types here, known or not.
[[nodiscard]] constexpr bool is_own_type(std::uint32_t type_number) { return type_number >> 24U == 0x54; }

/// The layout of this name, if a kernel of this build reads it; else nullptr.
[[nodiscard]] const kernels::TernaryLayout* find_layout(std::string_view name) noexcept;

/// A format::TensorSizer for these types and all others.
[[nodiscard]] format::TensorSize any_tensor_size(std::uint32_t type, std::uint64_t cols, std::uint64_t n_elements);

/// The matrix of a tensor of a packed type, over its mapped bytes; only scales are copied.
///
/// Errors    Error(kBadFile): a scale that is negative or not finite
[[nodiscard]] weights::TernaryMatrix view_packed(const std::string& source, const format::TensorInfo& tensor,
                                                 const PackedType& type);
/// The same for an int8 head, nothing copied.
[[nodiscard]] HeadMatrix view_head(const std::string& source, const format::TensorInfo& tensor,
                                   const kernels::HeadKernels& kernels);

}  // namespace tern::nn
