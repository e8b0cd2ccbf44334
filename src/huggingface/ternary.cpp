#include "src/huggingface/ternary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "src/base/check.h"
#include "src/base/half.h"
#include "src/base/printable.h"
#include "src/format/byte_reader.h"
#include "src/weights/codecs.h"

// What the directories hold, and what is made of it:
//
//   packed    U8 (rows / 4, cols). Byte [r][c], bits 2i and 2i + 1: the code of row r + i * rows / 4, column c.
//             Beside it NAME_scale, one number.
//   masters   F32, F16 or BF16 (rows, cols). W = clamp(round(M * s), -1, 1) / s with s = 1 / max(mean |M|, 1e-5).
//             Source: BitNet b1.58, arXiv:2402.17764, section 2
//   exact     the same dtypes; every element is 0, +v or -v, with one v for the tensor or one for each group of columns
//
//   I2_S      src/weights/i2_s.cpp: codes, then the scale in f32. Groups become Q2_0, PQ2_0 or TQ2_0, whose blocks of
//             64, 128 or 256 hold a scale in f16
//
// A head's rows of q and k: the rotation pairs row i with row i + n / 2 here, and row 2i with row 2i + 1 in GGUF's
// architecture llama, so that row 2i + j there is row i + j * n / 2 here.
namespace tern::huggingface {
namespace {

constexpr float kLeastMean = 1e-5f;  // of the masters' magnitudes, as in training

/// The columns that may share a scale, and the type that has one for so many.
struct GroupType {
  std::size_t cols;
  const weights::TensorCodec* codec;
};
constexpr GroupType kGroupTypes[] = {{256, &weights::kTq2_0}, {128, &weights::kPq2_0}, {64, &weights::kQ2_0}};

const weights::TensorCodec& group_codec(std::size_t group) noexcept {
  for (const GroupType& type : kGroupTypes) {
    if (type.cols == group) return *type.codec;
  }
  return weights::kI2s;
}

/// Writes codes, row after row, as I2_S blocks of 128.
class I2sWriter {
 public:
  explicit I2sWriter(std::uint64_t n_elements) : bytes_(weights::kI2s.tensor_bytes(n_elements)) {}

  void add(std::span<const std::uint8_t> codes) {
    // Rows need not be whole blocks: what is left of one waits for the next.
    while (!codes.empty()) {
      if (pending_.empty() && codes.size() >= kConvertedUnit) {
        put_block(codes.data());
        codes = codes.subspan(kConvertedUnit);
        continue;
      }
      const std::size_t n = std::min(codes.size(), kConvertedUnit - pending_.size());
      pending_.insert(pending_.end(), codes.begin(), codes.begin() + static_cast<std::ptrdiff_t>(n));
      codes = codes.subspan(n);
      if (pending_.size() < kConvertedUnit) continue;
      put_block(pending_.data());
      pending_.clear();
    }
  }

  [[nodiscard]] std::vector<std::byte> finish(float scale) {
    const std::vector<std::byte> tail = weights::kI2s.pack_tail(scale);
    std::copy(tail.begin(), tail.end(), bytes_.end() - static_cast<std::ptrdiff_t>(tail.size()));
    return std::move(bytes_);
  }

 private:
  void put_block(const std::uint8_t* codes) {
    weights::kI2s.pack_row(codes, nullptr, kConvertedUnit, bytes_.data() + n_written_);
    n_written_ += weights::kI2s.block_bytes;
  }

  std::vector<std::byte> bytes_;
  std::vector<std::uint8_t> pending_;
  std::size_t n_written_ = 0;
};

const weights::TensorCodec& codec_of(Dtype dtype) {
  if (dtype == Dtype::kF32) return weights::kF32;
  return dtype == Dtype::kF16 ? weights::kF16 : weights::kBf16;
}

/// A value as a tensor of this dtype holds it.
float rounded_to(Dtype dtype, float value) {
  if (dtype == Dtype::kF16) return f16_to_f32(f32_to_f16(value));
  if (dtype == Dtype::kBf16) return bf16_to_f32(f32_to_bf16(value));
  return value;
}

/// The one magnitude of values that are not 0; 0 if there is none. Nothing if there are several.
std::optional<float> only_magnitude(std::span<const float> values) {
  float magnitude = 0.0f;
  for (const float value : values) {
    if (value == 0.0f || std::fabs(value) == magnitude) continue;
    if (magnitude != 0.0f) return std::nullopt;
    magnitude = std::fabs(value);
  }
  return magnitude;
}

/// Whether each `cols` of a row have one magnitude.
bool has_groups(std::span<const float> row, std::size_t cols) {
  if (row.size() % cols != 0) return false;
  for (std::size_t at = 0; at < row.size(); at += cols) {
    if (!only_magnitude(row.subspan(at, cols))) return false;
  }
  return true;
}

/// The code of a ternary value.
std::uint8_t sign_code(float value) {
  return static_cast<std::uint8_t>(1 + (value > 0.0f ? 1 : 0) - (value < 0.0f ? 1 : 0));
}

/// One conversion.
class Converter {
 public:
  Converter(const TernarySource& source, const format::TensorInfo& tensor)
      : source_(source),
        tensor_(tensor),
        rows_(static_cast<std::size_t>(tensor.rows())),
        cols_(static_cast<std::size_t>(tensor.cols())),
        values_(source.form == TernaryForm::kPacked ? 0 : cols_) {}

  std::vector<std::byte> run() {
    switch (source_.form) {
      case TernaryForm::kPacked:
        return write(source_.scale, [&](std::size_t row, auto& codes) { unpack(row, codes); });
      case TernaryForm::kMasters: {
        // In the order of operations of training; what multiplies the codes is then of the masters' dtype.
        const float s = 1.0f / std::max(measure().mean, kLeastMean);
        return write(rounded_to(source_.dtype, 1.0f / s),
                     [&](std::size_t row, auto& codes) { quantize(row, s, codes); });
      }
      case TernaryForm::kExact:
        if (source_.group != 0) return write_groups();
        break;
    }
    const float magnitude = measure().largest;
    return write(magnitude, [&](std::size_t row, auto& codes) { take_signs(row, magnitude, codes); });
  }

 private:
  /// Magnitudes of the elements.
  struct Magnitudes {
    float mean = 0;
    float largest = 0;
  };

  /// read(row, codes) gives the codes of a row as it is stored.
  template <typename Read>
  std::vector<std::byte> write(float scale, const Read& read) const {
    I2sWriter writer(tensor_.n_elements);
    std::vector<std::uint8_t> codes(cols_);
    for (std::size_t row = 0; row < rows_; ++row) {
      read(stored_row(row, source_.rotary_dim), codes);
      writer.add(codes);
    }
    return writer.finish(scale);
  }

  std::vector<std::byte> write_groups() {
    const weights::TensorCodec& type = group_codec(source_.group);
    const std::size_t row_bytes = type.row_bytes(cols_);
    std::vector<std::byte> bytes(rows_ * row_bytes);
    std::vector<std::uint8_t> codes(cols_);
    std::vector<float> scales(cols_ / source_.group);
    for (std::size_t row = 0; row < rows_; ++row) {
      const std::size_t stored = stored_row(row, source_.rotary_dim);
      const std::span<const float> values = read_row(stored);
      for (std::size_t g = 0; g < scales.size(); ++g) {
        scales[g] = group_scale(stored, values.subspan(g * source_.group, source_.group));
      }
      std::transform(values.begin(), values.end(), codes.begin(), sign_code);
      type.pack_row(codes.data(), scales.data(), cols_, bytes.data() + row * row_bytes);
    }
    return bytes;
  }

  float group_scale(std::size_t row, std::span<const float> values) const {
    const std::optional<float> scale = only_magnitude(values);
    if (!scale) {
      refuse(row, fmt::format("one magnitude in every group of {} columns", values.size()),
             static_cast<double>(*std::ranges::max_element(values)));
    }
    if (!std::isfinite(*scale) || rounded_to(Dtype::kF16, *scale) != *scale) {
      fail(ErrorKind::kUnsupported, "{}: tensor {}: row {}: expected magnitudes of groups that 16 bits hold, found {}",
           source_.file, printable(tensor_.name), row, *scale);
    }
    return *scale;
  }

  void unpack(std::size_t row, std::vector<std::uint8_t>& codes) const {
    const std::size_t n_stored = rows_ / 4;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(tensor_.data.data()) + row % n_stored * cols_;
    const std::size_t shift = 2 * (row / n_stored);
    for (std::size_t c = 0; c < cols_; ++c) codes[c] = static_cast<std::uint8_t>(bytes[c] >> shift & 3);
  }

  std::span<const float> read_row(std::size_t row) {
    const weights::TensorCodec& codec = codec_of(source_.dtype);
    codec.decode_row(tensor_.data.data() + row * cols_ * codec.block_bytes, cols_, values_.data());
    return values_;
  }

  Magnitudes measure() {
    Magnitudes found;
    double sum = 0.0;
    for (std::size_t row = 0; row < rows_; ++row) {
      constexpr std::size_t kSums = 8;  // independent, for speed; added in a fixed order
      std::array<double, kSums> sums{};
      const std::span<const float> values = read_row(row);
      for (std::size_t c = 0; c < cols_; ++c) sums[c % kSums] += static_cast<double>(std::fabs(values[c]));
      for (const float value : values) found.largest = std::max(found.largest, std::fabs(value));
      const double row_sum = std::accumulate(sums.begin(), sums.end(), 0.0);
      if (!std::isfinite(row_sum)) refuse(row, "finite values", row_sum);
      sum += row_sum;
    }
    found.mean = static_cast<float>(sum / static_cast<double>(tensor_.n_elements));
    return found;
  }

  void quantize(std::size_t row, float s, std::vector<std::uint8_t>& codes) {
    const std::span<const float> values = read_row(row);
    for (std::size_t c = 0; c < cols_; ++c) {
      const float scaled = values[c] * s;  // 0.5 rounds to 0, which is even
      codes[c] = static_cast<std::uint8_t>(1 + (scaled > 0.5f ? 1 : 0) - (scaled < -0.5f ? 1 : 0));
    }
  }

  void take_signs(std::size_t row, float magnitude, std::vector<std::uint8_t>& codes) {
    const std::span<const float> values = read_row(row);
    for (std::size_t c = 0; c < cols_; ++c) {
      const float value = values[c];
      if (value != 0.0f && std::fabs(value) != magnitude) {
        refuse(row, fmt::format("ternary weights 0, {0} and -{0}, or a quantization_config in config.json", magnitude),
               static_cast<double>(value));
      }
      codes[c] = sign_code(value);
    }
  }

  [[noreturn]] void refuse(std::size_t row, const std::string& expected, double found) const {
    fail(ErrorKind::kBadFile, "{}: tensor {}: row {}: expected {}, found {}", source_.file, printable(tensor_.name),
         row, expected, found);
  }

  const TernarySource& source_;
  const format::TensorInfo& tensor_;
  std::size_t rows_;
  std::size_t cols_;
  std::vector<float> values_;  // (cols) of one row
};

}  // namespace

std::vector<std::byte> TernarySource::operator()(const format::TensorInfo& tensor) const {
  return Converter(*this, tensor).run();
}

std::size_t find_group(const format::TensorInfo& tensor, Dtype dtype) {
  constexpr std::size_t kRowsToSee = 8;
  const weights::TensorCodec& codec = codec_of(dtype);
  const auto rows = static_cast<std::size_t>(tensor.rows());
  std::vector<float> values(static_cast<std::size_t>(tensor.cols()));
  std::vector<float> magnitudes;  // of whole rows
  std::vector<GroupType> fitting(std::begin(kGroupTypes), std::end(kGroupTypes));
  const std::size_t n_rows = std::min(rows, kRowsToSee);
  for (std::size_t i = 0; i < n_rows; ++i) {
    const std::size_t row = i * rows / n_rows;
    codec.decode_row(tensor.data.data() + row * values.size() * codec.block_bytes, values.size(), values.data());
    if (const auto magnitude = only_magnitude(values)) magnitudes.push_back(*magnitude);
    std::erase_if(fitting, [&](const GroupType& type) { return !has_groups(values, type.cols); });
  }
  if (magnitudes.size() == n_rows && only_magnitude(magnitudes)) return 0;
  return fitting.empty() ? 0 : fitting.front().cols;
}

std::uint32_t converted_type(std::size_t group) noexcept { return group_codec(group).gguf_type; }

}  // namespace tern::huggingface
