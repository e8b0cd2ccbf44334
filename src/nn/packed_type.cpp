#include "src/nn/packed_type.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/dispatch.h"
#include "src/base/check.h"
#include "src/base/checked_math.h"
#include "src/base/half.h"
#include "src/base/printable.h"
#include "src/format/byte_reader.h"

namespace tern::nn {
namespace {

using weights::ScaleKind;

constexpr std::uint64_t kPadding = 64;  // bytes

/// A number is never given to another layout, nor to another version of one.
struct LayoutNumber {
  std::uint32_t number;
  std::string_view name;
};
constexpr LayoutNumber kLayoutNumbers[] = {{1, "plain"}, {2, "rows64"}, {3, "tile16x4"}, {4, "e5"}};

std::uint32_t layout_of(std::uint32_t type) { return type >> 16U & 0xffU; }
std::uint32_t scale_of(std::uint32_t type) { return type & 0xffffU; }

std::string_view name_of(std::uint32_t layout_number) {
  for (const LayoutNumber& known : kLayoutNumbers) {
    if (known.number == layout_number) return known.name;
  }
  return {};
}

/// What lies behind the codes, without padding.
std::optional<std::uint64_t> scale_bytes(const PackedType& type, std::uint64_t rows, std::uint64_t cols) {
  switch (type.kind) {
    case ScaleKind::kTensor:
      return sizeof(float);
    case ScaleKind::kRow:
      return checked_mul(rows, sizeof(float));
    case ScaleKind::kBlock:
      break;
  }
  const auto n_scales = checked_mul(rows, cols / type.block_cols);
  return n_scales ? checked_mul(*n_scales, sizeof(std::uint16_t)) : std::nullopt;
}

/// Nothing when they do not fit in 64 bits. Requires cols <= kMaxCols.
std::optional<std::uint64_t> code_bytes(const PackedType& type, std::uint64_t rows, std::uint64_t cols) {
  const std::uint64_t block_cols = type.kind == ScaleKind::kBlock ? type.block_cols : cols;
  const std::uint64_t per_block = cols / block_cols * type.layout->block_bytes(static_cast<std::size_t>(block_cols));
  return checked_mul(rows / type.layout->row_block + (rows % type.layout->row_block != 0 ? 1 : 0), per_block);
}

std::optional<std::uint64_t> padded_sum(std::optional<std::uint64_t> weights, std::optional<std::uint64_t> scales) {
  const auto sum = weights && scales ? checked_add(*weights, *scales) : std::nullopt;
  const auto padded = sum ? checked_add(*sum, kPadding - 1) : std::nullopt;
  return padded ? std::optional(*padded / kPadding * kPadding) : std::nullopt;
}

format::TensorSize refuse(ErrorKind kind, std::string error) {
  format::TensorSize size;
  size.kind = kind;
  size.error = std::move(error);
  return size;
}

format::TensorSize size_or_refuse(std::optional<std::uint64_t> bytes) {
  if (!bytes) return refuse(ErrorKind::kBadFile, "expected fewer elements");
  format::TensorSize size;
  size.bytes = bytes;
  return size;
}

format::TensorSize head_size(std::uint64_t rows, std::uint64_t cols) {
  if (cols > kernels::kHeadMaxCols) {
    return refuse(ErrorKind::kBadFile,
                  fmt::format("expected at most {} columns, found {}", kernels::kHeadMaxCols, cols));
  }
  const std::uint64_t row_bytes = round_up(cols, kernels::kHeadAlignment);
  return size_or_refuse(padded_sum(checked_mul(rows, row_bytes), checked_mul(rows, sizeof(float))));
}

format::TensorSize packed_size(std::uint32_t number, std::uint64_t rows, std::uint64_t cols) {
  const std::string_view name = name_of(layout_of(number));
  const std::optional<PackedType> type = find_packed_type(number);
  if (!type) {
    return refuse(ErrorKind::kUnsupported,
                  name.empty()
                      ? fmt::format("weights are packed in a way that this tern does not know, {}; make the file "
                                    "again from the model that it was made of",
                                    layout_of(number))
                      : fmt::format("weights are packed as \"{}\", for other processors; make the file again "
                                    "here from the model that it was made of",
                                    name));
  }
  if (cols > kernels::kMaxCols) {
    return refuse(ErrorKind::kUnsupported,
                  fmt::format("expected at most {} columns, found {}", kernels::kMaxCols, cols));
  }
  if (type->kind == ScaleKind::kBlock && cols % type->block_cols != 0) {
    return refuse(ErrorKind::kBadFile,
                  fmt::format("expected a multiple of {} columns, found {}", type->block_cols, cols));
  }
  return size_or_refuse(padded_sum(code_bytes(*type, rows, cols), scale_bytes(*type, rows, cols)));
}

/// What is mapped from a file, in the form in which matrices hold weights, which may also be memory that is being
/// filled; nobody writes to a matrix that is in use.
std::uint8_t* as_weights(const std::byte* mapped) {
  return reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(mapped));
}

void check_scale(const std::string& source, const format::TensorInfo& tensor, std::size_t i, float scale) {
  if (std::isfinite(scale) && scale >= 0) return;
  fail(ErrorKind::kBadFile, "{}: tensor '{}': scale {}: expected a finite one that is not negative, found {}", source,
       printable(tensor.name), i, scale);
}

}  // namespace

std::uint32_t type_number(const PackedType& type) {
  const auto* known = std::ranges::find(kLayoutNumbers, std::string_view(type.layout->name), &LayoutNumber::name);
  TERN_DCHECK(known != std::end(kLayoutNumbers) && type.block_cols <= 0xffffU);
  const auto block = static_cast<std::uint32_t>(type.block_cols);
  const std::uint32_t scale = type.kind == ScaleKind::kTensor ? 0 : type.kind == ScaleKind::kRow ? 1 : block;
  return std::uint32_t{0x54} << 24U | known->number << 16U | scale;
}

std::optional<PackedType> find_packed_type(std::uint32_t type_number) {
  if (!is_own_type(type_number)) return std::nullopt;
  const kernels::TernaryLayout* layout = find_layout(name_of(layout_of(type_number)));
  if (layout == nullptr) return std::nullopt;
  const std::uint32_t scale = scale_of(type_number);
  if (scale == 0) return PackedType{layout, ScaleKind::kTensor, 0};
  if (scale == 1) return PackedType{layout, ScaleKind::kRow, 0};
  return PackedType{layout, ScaleKind::kBlock, scale};
}

const kernels::TernaryLayout* find_layout(std::string_view name) noexcept {
  for (const kernels::TernaryKernel* kernel : kernels::all_ternary_kernels()) {
    if (kernel->layout->name == name) return kernel->layout;
  }
  return nullptr;
}

format::TensorSize any_tensor_size(std::uint32_t type, std::uint64_t cols, std::uint64_t n_elements) {
  if (!is_own_type(type)) return weights::tensor_size(type, cols, n_elements);
  if (type == kChecksumsType) return size_or_refuse(checked_mul(n_elements, sizeof(std::uint64_t)));
  const std::uint64_t rows = n_elements / cols;
  return type == kInt8HeadType ? head_size(rows, cols) : packed_size(type, rows, cols);
}

weights::TernaryMatrix view_packed(const std::string& source, const format::TensorInfo& tensor,
                                   const PackedType& type) {
  const auto rows = static_cast<std::size_t>(tensor.rows());
  const auto cols = static_cast<std::size_t>(tensor.cols());
  const bool blocks = type.kind == ScaleKind::kBlock;
  weights::TernaryMatrix matrix = {.layout = type.layout,
                                   .rows = rows,
                                   .cols = cols,
                                   .kind = type.kind,
                                   .block_cols = blocks ? type.block_cols : cols,
                                   .n_col_blocks = blocks ? cols / type.block_cols : 1,
                                   .weights = {},
                                   .scales = {},
                                   .block_scales = {}};
  const auto n_bytes = static_cast<std::size_t>(*code_bytes(type, rows, cols));
  const std::byte* scales = tensor.data.data() + n_bytes;
  matrix.weights = {as_weights(tensor.data.data()), n_bytes};
  if (blocks) {
    matrix.block_scales.resize(matrix.n_col_blocks * rows);
    std::memcpy(matrix.block_scales.data(), scales, matrix.block_scales.size() * sizeof(std::uint16_t));
    for (std::size_t i = 0; i < matrix.block_scales.size(); ++i) {
      check_scale(source, tensor, i, f16_to_f32(matrix.block_scales[i]));
    }
  } else {
    matrix.scales.resize(type.kind == ScaleKind::kRow ? rows : 1);
    std::memcpy(matrix.scales.data(), scales, matrix.scales.size() * sizeof(float));
    for (std::size_t i = 0; i < matrix.scales.size(); ++i) check_scale(source, tensor, i, matrix.scales[i]);
  }
  return matrix;
}

HeadMatrix view_head(const std::string& source, const format::TensorInfo& tensor, const kernels::HeadKernels& kernels) {
  const auto rows = static_cast<std::size_t>(tensor.rows());
  const HeadMatrix head = make_head(kernels, rows, static_cast<std::size_t>(tensor.cols()),
                                    {as_weights(tensor.data.data()), tensor.data.size()});
  for (std::size_t row = 0; row < rows; ++row) check_scale(source, tensor, row, head.scales[row]);
  return head;
}

}  // namespace tern::nn
