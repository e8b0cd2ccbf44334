#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "src/base/checked_math.h"
#include "src/weights/codecs.h"

namespace tern::weights {
namespace {

constexpr const TensorCodec* kCodecs[] = {&kF32,  &kF16,   &kQ4_0,  &kQ8_0,  &kQ4K,    &kQ5K,
                                          &kQ6K,  &kBf16,  &kTq1_0, &kTq2_0, &kI2s,    &kQ1_0,
                                          &kQ2_0, &kIq1Bn, &kIq2Bn, &kPq2_0, &kPtq1_0, &kIq2BnR4};

/// Types that exist but that tern does not read, with what to do instead.
struct KnownType {
  std::uint32_t id;
  std::string_view name;
  std::string_view hint;
};
constexpr std::string_view kOtherQuant = "use a file with Q4_0, Q8_0, Q4_K, Q5_K, Q6_K, F16 or F32 instead";
constexpr std::string_view kOtherTernary = "use a file of the same model with TQ1_0, TQ2_0 or I2_S instead";
constexpr std::string_view kTileBound =
    "its byte order depends on tiles that the file does not record; use an I2_S file of the same model instead";
constexpr std::string_view kTl2OrMxfp4 =
    "as TL2, its byte order depends on tiles that the file does not record, and as MXFP4 it is not ternary; use a file "
    "of the same model with I2_S, TQ1_0 or TQ2_0 instead";
constexpr KnownType kKnownTypes[] = {
    {3, "Q4_1", kOtherQuant},     {6, "Q5_0", kOtherQuant},     {7, "Q5_1", kOtherQuant},
    {9, "Q8_1", kOtherQuant},     {10, "Q2_K", kOtherQuant},    {11, "Q3_K", kOtherQuant},
    {15, "Q8_K", kOtherQuant},    {16, "IQ2_XXS", kOtherQuant}, {17, "IQ2_XS", kOtherQuant},
    {18, "IQ3_XXS", kOtherQuant}, {19, "IQ1_S", kOtherQuant},   {20, "IQ4_NL", kOtherQuant},
    {21, "IQ3_S", kOtherQuant},   {22, "IQ2_S", kOtherQuant},   {23, "IQ4_XS", kOtherQuant},
    {24, "I8", kOtherQuant},      {25, "I16", kOtherQuant},     {26, "I32", kOtherQuant},
    {27, "I64", kOtherQuant},     {28, "F64", kOtherQuant},     {29, "IQ1_M", kOtherQuant},
    {37, "I8_S", kOtherTernary},  {38, "TL1", kTileBound},      {39, "TL2 or MXFP4", kTl2OrMxfp4},
    {40, "NVFP4", kOtherQuant},
};

format::TensorSize refuse(std::uint32_t type) {
  const auto* known = std::find_if(std::begin(kKnownTypes), std::end(kKnownTypes),
                                   [&](const KnownType& candidate) { return candidate.id == type; });
  format::TensorSize size;
  if (known != std::end(kKnownTypes)) {
    size.error = fmt::format("tensor type {} ({}) is not supported; {}", type, known->name, known->hint);
    return size;
  }
  std::string names;
  for (const TensorCodec* codec : kCodecs) names += fmt::format("{}{}", names.empty() ? "" : ", ", codec->name);
  size.error = fmt::format("unknown tensor type {}; expected one of {}", type, names);
  return size;
}

/// Nothing when they do not fit in 64 bits.
std::optional<std::uint64_t> bytes_of(const TensorCodec& codec, std::uint64_t rows, std::uint64_t n_elements) {
  if (codec.tensor_bytes != nullptr) return codec.tensor_bytes(n_elements);
  const auto blocks = checked_mul(n_elements / codec.block_elements, codec.block_bytes);
  const auto headers = checked_mul(rows, codec.row_header_bytes);
  return blocks && headers ? checked_add(*blocks, *headers) : std::nullopt;
}

}  // namespace

void TensorCodec::read_row(const std::byte* tensor, std::size_t n_elements, std::size_t row, std::size_t cols,
                           float* values) const {
  if (!is_ternary()) return decode_row(tensor + row * row_bytes(cols), cols, values);
  const std::size_t n = scale_cols(cols);
  std::vector<std::uint8_t> codes(cols);
  std::vector<float> scales(cols / n);
  unpack_row(tensor, row, cols, codes.data());
  read_scales(tensor, n_elements, row, cols, scales.data());
  for (std::size_t c = 0; c < cols; ++c) values[c] = static_cast<float>(codes[c] - 1) * scales[c / n];
}

std::span<const TensorCodec* const> all_codecs() noexcept { return kCodecs; }

const TensorCodec* find_codec(std::uint32_t gguf_type) noexcept {
  const auto* found = std::find_if(std::begin(kCodecs), std::end(kCodecs),
                                   [&](const TensorCodec* codec) { return codec->gguf_type == gguf_type; });
  return found == std::end(kCodecs) ? nullptr : *found;
}

format::TensorSize tensor_size(std::uint32_t type, std::uint64_t cols, std::uint64_t n_elements) {
  const TensorCodec* codec = find_codec(type);
  if (codec == nullptr) return refuse(type);
  format::TensorSize size;
  size.kind = ErrorKind::kBadFile;
  // Types that code the tensor as a whole need whole blocks in all, the others in every row.
  const std::uint64_t coded = codec->tensor_bytes != nullptr ? n_elements : cols;
  if (coded % codec->block_elements != 0) {
    size.error = fmt::format("expected a multiple of {} {} for type {}, found {}", codec->block_elements,
                             codec->tensor_bytes != nullptr ? "elements" : "columns", codec->name, coded);
    return size;
  }
  const std::uint64_t rows = n_elements / cols;
  if (rows % codec->rows_together != 0) {
    size.error =
        fmt::format("expected a multiple of {} rows for type {}, found {}", codec->rows_together, codec->name, rows);
    return size;
  }
  size.bytes = bytes_of(*codec, rows, n_elements);
  // Before blocks of 128 had a number of their own, files gave them that of blocks of 64.
  if (codec == &kQ2_0 && cols % kPq2_0.block_elements == 0) {
    if (const auto bytes = bytes_of(kPq2_0, rows, n_elements)) {
      size.other = {.type = kPq2_0.gguf_type, .bytes = *bytes, .meanings = "Q2_0 in blocks of 64 or of 128"};
    }
  }
  if (!size.bytes) size.error = fmt::format("{} elements are too many", n_elements);
  return size;
}

const TensorCodec& i2s_64_codec() noexcept { return kI2s64; }

const TensorCodec& codec_of(const format::TensorInfo& tensor, bool i2s_64) noexcept {
  const TensorCodec& codec = *find_codec(tensor.type);
  return i2s_64 && &codec == &kI2s && !tensor.convert ? kI2s64 : codec;
}

}  // namespace tern::weights
