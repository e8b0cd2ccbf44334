// The oracle that every kernel is tested against, and the kernel of last resort: plain C++ for any machine.
#include "kernels/ternary_kernels.h"
#include "kernels/weights_at.h"

#include <cstring>

namespace tern::kernels {

void reference_product(const std::uint8_t* codes, std::size_t n_rows, std::size_t cols, const std::int8_t* x,
                       std::size_t n_tokens, std::int32_t* y) {
  for (std::size_t t = 0; t < n_tokens; ++t) {
    for (std::size_t r = 0; r < n_rows; ++r) {
      std::int32_t sum = 0;
      for (std::size_t c = 0; c < cols; ++c) {
        sum += (codes[r * cols + c] - 1) * x[t * cols + c];
      }
      y[t * n_rows + r] = sum;
    }
  }
}

namespace {

// Layout "plain": row after row, four codes a byte (column 4i at bits 1-0 of byte i), padded to 64 bytes.

constexpr std::size_t kCodesPerByte = 4;
constexpr std::uint8_t kFourZeros = 0x55;  // code 1 in each of the four fields

std::size_t row_bytes(std::size_t cols) { return (cols + kCodesPerByte * 64 - 1) / (kCodesPerByte * 64) * 64; }

void pack(const std::uint8_t* codes, std::size_t /*stride*/, std::size_t /*n_rows: 1*/, std::size_t cols,
          std::uint8_t* row) {
  std::memset(row, kFourZeros, row_bytes(cols));
  for (std::size_t c = 0; c < cols; ++c) {
    const auto shift = static_cast<unsigned>(c % kCodesPerByte * 2);
    std::uint8_t& byte = row[c / kCodesPerByte];
    byte = static_cast<std::uint8_t>((byte & ~(3U << shift)) | static_cast<unsigned>(codes[c]) << shift);
  }
}

const TernaryLayout kPlain = {
    .name = "plain", .bits_per_weight = 2.0, .row_block = 1, .block_bytes = row_bytes, .pack = pack};

std::size_t operand_bytes(std::size_t n_tokens, std::size_t cols) { return n_tokens * cols; }

void prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part, std::size_t /*n_parts*/,
             std::uint8_t* operand) {
  if (part == 0) {
    std::memcpy(operand, x, n_tokens * cols);
  }
}

/// Room for one row of weights, a byte each.
std::size_t scratch_bytes(std::size_t cols) { return row_bytes(cols) * kCodesPerByte; }

void unpack_row(const std::uint8_t* row, std::size_t cols, std::int8_t* weights) {
  for (std::size_t i = 0; i * kCodesPerByte < cols; ++i) {
    for (std::size_t j = 0; j < kCodesPerByte; ++j) {
      const unsigned code = static_cast<unsigned>(row[i]) >> (2 * j) & 3U;
      weights[i * kCodesPerByte + j] = static_cast<std::int8_t>(static_cast<int>(code) - 1);
    }
  }
}

std::int32_t dot(const std::int8_t* weights, const std::int8_t* x, std::size_t n) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    sum += weights[i] * x[i];
  }
  return sum;
}

void multiply(const TernaryProduct& p) {
  auto* weights = reinterpret_cast<std::int8_t*>(p.scratch);
  const auto* x = reinterpret_cast<const std::int8_t*>(p.operand);  // (n_tokens, cols)
  for (std::size_t r = p.row_begin; r < p.row_end; ++r) {
    unpack_row(weights_at(p, r, row_bytes(p.cols)), p.cols, weights);
    for (std::size_t t = p.token_begin; t < p.token_end; ++t) {
      const std::int32_t sum = dot(weights, x + t * p.cols, p.cols);
      p.sink.take(p.sink.context, t, r, 1, &sum);
    }
  }
}

/// A row is unpacked once for all tokens.
Grain grain(std::size_t n_tokens, std::size_t /*cols*/) { return {64, n_tokens, 1}; }

constexpr TernaryRoutine kRoutine = {.operand_bytes = operand_bytes,
                                     .prepare = prepare,
                                     .scratch_bytes = scratch_bytes,
                                     .grain = grain,
                                     .multiply = multiply};

}  // namespace

const TernaryKernel kReference = {.name = "reference",
                                  .family = Family::kReference,
                                  .isa = Isa::kScalar,
                                  .layout = &kPlain,
                                  .decode = kRoutine,
                                  .prompt = kRoutine,
                                  .min_prompt_tokens = 2};

}  // namespace tern::kernels
