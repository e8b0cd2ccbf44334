#include "src/engine/convert_tensor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "src/base/check.h"
#include "src/base/half.h"
#include "src/base/keep_least.h"
#include "src/base/printable.h"
#include "src/weights/ternary_matrix.h"

namespace tern::engine {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
constexpr std::size_t kNoRow = ~std::size_t{0};
constexpr std::uint8_t kZeroCode = 1;

template <typename... Args>
[[noreturn]] void refuse(const SourceTensor& source, ErrorKind kind, fmt::format_string<Args...> format,
                         Args&&... args) {
  fail(kind, "{}: tensor {}: {}", *source.file, printable(source.info->name),
       fmt::format(format, std::forward<Args>(args)...));
}

/// Makes all rows of a tensor, some megabytes of them at a time: make(row_begin, row_end, bytes) writes so many rows
/// of row_bytes, from several threads at once, and returns the first one that cannot be made, or kNoRow. So does this.
template <typename Make>
std::size_t put_rows(const SourceTensor& source, std::size_t row_bytes, ThreadPool& pool, const format::PutBytes& put,
                     const Make& make) {
  const std::size_t rows = source.rows();
  const std::size_t together = std::clamp<std::size_t>(kPieceBytes / row_bytes, 1, rows);
  const std::size_t unit = std::max<std::size_t>(1, together / (std::size_t{8} * pool.size()));
  const std::size_t source_row_bytes = source.info->data.size() / rows;  // about: some types have a tail
  std::vector<std::byte> piece(together * row_bytes);
  for (std::size_t row = 0; row < rows; row += together) {
    const std::size_t n_rows = std::min(together, rows - row);
    std::atomic<std::size_t> bad_row{kNoRow};
    pool.parallel_for(n_rows, unit, [&](std::size_t begin, std::size_t end, unsigned) {
      keep_least(bad_row, make(row + begin, row + end, piece.data() + begin * row_bytes));
    });
    if (bad_row != kNoRow) return bad_row;
    put(std::span(piece).first(n_rows * row_bytes));
    source.files->release(source.info->data.subspan(row * source_row_bytes, n_rows * source_row_bytes));
  }
  source.files->release(source.info->data);  // the pages that two pieces share
  return kNoRow;
}

/// The scales of a ternary tensor, and what becomes of them.
class Scales {
 public:
  Scales(const SourceTensor& source, const weights::TensorCodec& type, const ScaleTransfer& transfer)
      : source_(source),
        type_(type),
        transfer_(transfer),
        plan_(weights::plan_scales(*source.file, *source.info, *source.codec)) {
    if (type.tensor_bytes != nullptr || transfer.separate != nullptr) require_one();
    if (transfer.separate != nullptr) *transfer.separate = one();
    if (plan_.kind == weights::ScaleKind::kBlock) require_equal_within_blocks();
    if (type.tensor_bytes == nullptr && transfer.separate == nullptr) measure_rounding();
  }

  /// The one scale of the tensor. Requires a type that has only one, or ScaleTransfer::separate.
  [[nodiscard]] float one() const { return scaled(plan_.scales[0]); }
  [[nodiscard]] double largest_error() const noexcept { return largest_error_; }

  /// Those of a row in the new type, (cols / type.scale_cols(cols)). Weights whose scale is 0 get the code of 0, since
  /// their block may have neighbours with another scale in the new type.  codes: (cols)
  void of_row(std::size_t row, std::span<std::uint8_t> codes, std::span<float> scales) const {
    const std::size_t n = codes.size() / scales.size();
    std::fill(scales.begin(), scales.end(), 0.0f);
    for (std::size_t begin = 0; begin < codes.size(); begin += step(n)) {
      const float scale = at(row, begin);
      if (scale == 0) {
        std::fill_n(codes.begin() + static_cast<std::ptrdiff_t>(begin), step(n), kZeroCode);
      } else {
        scales[begin / n] = transfer_.separate != nullptr ? 1.0f : scaled(scale);
      }
    }
  }

 private:
  [[nodiscard]] float scaled(float scale) const noexcept { return scale * transfer_.factor; }
  /// Columns that share a scale both here and in the new type, whose blocks have n. Requires that one divides the
  /// other.
  [[nodiscard]] std::size_t step(std::size_t n) const noexcept { return std::min(n, plan_.block_cols); }
  [[nodiscard]] float at(std::size_t row, std::size_t col) const noexcept {
    switch (plan_.kind) {
      case weights::ScaleKind::kTensor:
        return plan_.scales[0];
      case weights::ScaleKind::kRow:
        return plan_.scales[row];
      case weights::ScaleKind::kBlock:
        break;
    }
    return plan_.scales[col / plan_.block_cols * source_.rows() + row];
  }

  void require_one() const {
    if (plan_.kind == weights::ScaleKind::kTensor) return;
    refuse(source_, ErrorKind::kInvalidArgument,
           "expected one scale for {}, found one for each {}; tq1_0 and tq2_0 have a scale for every 256 columns",
           type_.name, plan_.kind == weights::ScaleKind::kRow ? "row" : fmt::format("{} columns", plan_.block_cols));
  }

  /// Smaller blocks go into larger ones only when these come to have one scale.
  void require_equal_within_blocks() const {
    const std::size_t n = type_.scale_cols(source_.cols());
    if (n <= plan_.block_cols && plan_.block_cols % n == 0) return;
    for (std::size_t row = 0; row < source_.rows(); ++row) {
      float common = 0;
      for (std::size_t col = 0; col < source_.cols(); col += plan_.block_cols) {
        if (col % n == 0) common = 0;
        const float scale = at(row, col);
        if (scale == 0 || scale == common) continue;
        if (common == 0 && n % plan_.block_cols == 0) {
          common = scale;
          continue;
        }
        refuse(source_, ErrorKind::kInvalidArgument,
               "row {}: blocks of {} columns have scales of their own, and {} has only one for every {}; keep the type",
               row, plan_.block_cols, type_.name, n);
      }
    }
  }

  /// Types with a scale per block have 16 bits for it.
  void measure_rounding() {
    for (const float scale : plan_.scales) {
      if (scale == 0) continue;
      const double exact = static_cast<double>(scale) * static_cast<double>(transfer_.factor);
      const float stored = f16_to_f32(f32_to_f16(scaled(scale)));
      if (!std::isfinite(stored) || !(stored > 0)) {
        refuse(source_, ErrorKind::kInvalidArgument, "its scale of {} is beyond the 16 bits that {} has for it",
               scaled(scale), type_.name);
      }
      largest_error_ = std::max(largest_error_, std::fabs(static_cast<double>(stored) - exact) / exact);
    }
  }

  const SourceTensor& source_;
  const weights::TensorCodec& type_;
  const ScaleTransfer& transfer_;
  weights::ScalePlan plan_;
  double largest_error_ = 0.0;
};

/// Rows [row_begin, row_end) in another ternary type; returns the first with a code that is not ternary, or kNoRow.
std::size_t pack_rows(const SourceTensor& source, const weights::TensorCodec& type, const Scales& scales,
                      std::size_t row_begin, std::size_t row_end, std::byte* to) {
  const std::size_t cols = source.cols();
  std::vector<std::uint8_t> codes(cols);
  std::vector<float> row_scales(cols / type.scale_cols(cols));
  for (std::size_t row = row_begin; row < row_end; ++row, to += type.row_bytes(cols)) {
    if (!source.codec->unpack_row(source.info->data.data(), row, cols, codes.data())) return row;
    scales.of_row(row, codes, row_scales);
    type.pack_row(codes.data(), row_scales.data(), cols, to);
  }
  return kNoRow;
}

/// Rows as values of a float type; returns the first that cannot be had, or kNoRow.
std::size_t encode_rows(const SourceTensor& source, const weights::TensorCodec& type, std::size_t row_begin,
                        std::size_t row_end, std::byte* to) {
  const std::size_t cols = source.cols();
  const auto n_elements = static_cast<std::size_t>(source.info->n_elements);
  const std::byte* tensor = source.info->data.data();
  std::vector<float> values(cols);
  std::vector<std::uint8_t> codes(source.codec->is_ternary() ? cols : 0);
  for (std::size_t row = row_begin; row < row_end; ++row, to += type.row_bytes(cols)) {
    if (!codes.empty() && !source.codec->unpack_row(tensor, row, cols, codes.data())) return row;
    source.codec->read_row(tensor, n_elements, row, cols, values.data());
    const bool finite = std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
    if (!finite || !type.encode_row(values.data(), cols, to)) return row;
  }
  return kNoRow;
}

}  // namespace

void put_copy(const SourceTensor& source, const format::PutBytes& put) {
  const format::OwnForm own_form(*source.info);
  const std::span<const std::byte> bytes = own_form.tensor.data;
  for (std::size_t begin = 0; begin < bytes.size(); begin += kPieceBytes) {
    const auto piece = bytes.subspan(begin, std::min(kPieceBytes, bytes.size() - begin));
    put(piece);
    source.files->release(piece);
  }
  source.files->release(source.info->data);
}

void put_floats(const SourceTensor& source, const weights::TensorCodec& type, ThreadPool& pool,
                const format::PutBytes& put) {
  const std::size_t bad_row = put_rows(
      source, type.row_bytes(source.cols()), pool, put,
      [&](std::size_t begin, std::size_t end, std::byte* to) { return encode_rows(source, type, begin, end, to); });
  if (bad_row == kNoRow) return;
  refuse(source, ErrorKind::kBadFile, "row {}: expected finite values in the range of {}, found others", bad_row,
         type.name);
}

double put_ternary(const SourceTensor& source, const weights::TensorCodec& type, const ScaleTransfer& transfer,
                   ThreadPool& pool, const format::PutBytes& put) {
  const format::OwnForm own_form(*source.info);
  if (source.info->convert) source.files->release(source.info->data);
  SourceTensor plain = source;
  plain.info = &own_form.tensor;
  const Scales scales(plain, type, transfer);
  const std::size_t bad_row =
      put_rows(plain, type.row_bytes(plain.cols()), pool, put, [&](std::size_t begin, std::size_t end, std::byte* to) {
        return pack_rows(plain, type, scales, begin, end, to);
      });
  if (bad_row != kNoRow)
    refuse(source, ErrorKind::kBadFile, "row {}: expected ternary codes 0, 1, 2, found 3", bad_row);
  if (type.pack_tail != nullptr) put(type.pack_tail(scales.one()));
  return scales.largest_error();
}

}  // namespace tern::engine
