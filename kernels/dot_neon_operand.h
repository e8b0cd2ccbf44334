#pragma once

// The activations of the dot-product kernels. Included by those kernels; all names are local to the including file (see
// kernels.h).
//
// Tokens are grouped in blocks of kTokens, so that one cache line brings the same four columns of many tokens:
//
//     operand       | token block 0 | token block 1 | ...
//     token block   | columns 0-3 of token 0, 1, .. | columns 4-7 of token 0, 1, .. | ... | sums |
//     sums          sum of x per token, int32, padded to a multiple of 64 bytes
//
// Where an instruction takes eight columns of a token at a time, they come in eights instead of fours.
//
// Codes are 0, 1, 2 instead of -1, 0, 1: a kernel subtracts the sum of x from what it gets.

#include <cstring>

#include "kernels/layout_tile16x4.h"

namespace tern::kernels {
namespace {

template <std::size_t kTokens, std::size_t kCols = tile16x4::kPlaneCols>
struct DotOperand {
  static_assert(tile16x4::kStepCols % kCols == 0);
  static constexpr std::size_t kQuadBytes = kTokens * kCols;  // kCols columns of a token block
  static constexpr std::size_t kSumsBytes = (kTokens * sizeof(std::int32_t) + 63) / 64 * 64;

  static std::size_t quads_bytes(std::size_t cols) { return tile16x4::padded_cols(cols) * kTokens; }
  static std::size_t block_bytes(std::size_t cols) { return (quads_bytes(cols) + 63) / 64 * 64 + kSumsBytes; }
  static std::size_t n_blocks(std::size_t n_tokens) { return (n_tokens + kTokens - 1) / kTokens; }
  static std::size_t bytes(std::size_t n_tokens, std::size_t cols) { return n_blocks(n_tokens) * block_bytes(cols); }

  static const std::int32_t* sums(const std::uint8_t* block, std::size_t cols) {
    return reinterpret_cast<const std::int32_t*>(block + block_bytes(cols) - kSumsBytes);
  }

  /// Parts share the token blocks.
  static void prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part,
                      std::size_t n_parts, std::uint8_t* operand) {
    const std::size_t n = n_blocks(n_tokens);
    for (std::size_t b = n * part / n_parts; b < n * (part + 1) / n_parts; ++b) {
      std::uint8_t* block = operand + b * block_bytes(cols);
      std::memset(block, 0, block_bytes(cols));
      auto* block_sums = reinterpret_cast<std::int32_t*>(block + block_bytes(cols) - kSumsBytes);
      for (std::size_t t = 0; t < kTokens && b * kTokens + t < n_tokens; ++t) {
        const std::int8_t* token = x + (b * kTokens + t) * cols;
        copy_token(token, cols, block + t * kCols);
        block_sums[t] = sum(token, cols);
      }
    }
  }

 private:
  static void copy_token(const std::int8_t* x, std::size_t cols, std::uint8_t* out) {
    std::size_t c = 0;
    for (; c + kCols <= cols; c += kCols, out += kQuadBytes) {
      std::memcpy(out, x + c, kCols);
    }
    std::memcpy(out, x + c, cols - c);
  }

  static std::int32_t sum(const std::int8_t* x, std::size_t n) {
    std::int32_t total = 0;
    for (std::size_t i = 0; i < n; ++i) {
      total += x[i];
    }
    return total;
  }
};

}  // namespace
}  // namespace tern::kernels
