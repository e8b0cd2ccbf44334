#pragma once

// The activations of the dot-product kernels. Included by those kernels; all names are local to the including file (see
// kernels.h).
//
// Tokens are grouped in blocks of kTokens, so that one cache line brings the same four columns of many tokens. The last
// block is as narrow as it may be:
//
//     operand       | block of kTokens tokens | block of kTokens tokens | ... | block of the n tokens that are left |
//     token block   | sums | columns 0-3 of token 0, 1, .. n - 1 | columns 4-7 of token 0, 1, .. | ...
//     sums          sum of x per token, int32, padded to a multiple of 64 bytes
//
// Where an instruction takes more columns of a token together than four, they lie together (kTogether).
//
// Codes are 0, 1, 2 instead of -1, 0, 1: a kernel subtracts the sum of x from what it gets.

#include <cstring>

#include "kernels/layout_e5.h"
#include "kernels/layout_tile16x4.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kQuad = 4;  // columns of a 32-bit lane, which most instructions take together

/// Columns and bytes of the layouts that the dot-product kernels read, both in blocks of 64 rows.
struct Tile16x4Columns {
  static constexpr std::size_t padded(std::size_t cols) { return tile16x4::padded_cols(cols); }
  static constexpr std::size_t block_bytes(std::size_t cols) { return tile16x4::block_bytes(cols); }
};
struct E5Columns {
  static constexpr std::size_t padded(std::size_t cols) { return e5::n_groups(cols) * e5::kGroupCols; }
  static constexpr std::size_t block_bytes(std::size_t cols) { return e5::block_bytes(cols); }
};
constexpr std::size_t kBlockRows = 64;
static_assert(kBlockRows == tile16x4::kRows && kBlockRows == e5::kRows);

template <typename Columns, std::size_t kTokens, std::size_t kTogether = kQuad>
struct DotOperand {
  static_assert(Columns::padded(1) % kTogether == 0, "the last columns would be written past the end");
  static constexpr std::size_t kSumsBytes = (kTokens * sizeof(std::int32_t) + 63) / 64 * 64;

  static std::size_t n_blocks(std::size_t n_tokens) { return (n_tokens + kTokens - 1) / kTokens; }
  /// Bytes of a block of `n` tokens.
  static std::size_t block_bytes(std::size_t n, std::size_t cols) {
    return kSumsBytes + (Columns::padded(cols) * n + 63) / 64 * 64;
  }
  static std::size_t bytes(std::size_t n_tokens, std::size_t cols) {
    const std::size_t rest = n_tokens % kTokens;
    return n_tokens / kTokens * block_bytes(kTokens, cols) + (rest > 0 ? block_bytes(rest, cols) : 0);
  }

  /// The block that holds token `token`.
  static const std::uint8_t* block(const std::uint8_t* operand, std::size_t token, std::size_t cols) {
    return operand + token / kTokens * block_bytes(kTokens, cols);
  }
  static const std::int32_t* sums(const std::uint8_t* block) { return reinterpret_cast<const std::int32_t*>(block); }
  static const std::uint8_t* columns(const std::uint8_t* block) { return block + kSumsBytes; }

  /// Parts share the token blocks.
  static void prepare(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part,
                      std::size_t n_parts, std::uint8_t* operand) {
    const std::size_t n = n_blocks(n_tokens);
    for (std::size_t b = n * part / n_parts; b < n * (part + 1) / n_parts; ++b) {
      const std::size_t first = b * kTokens;
      const std::size_t n_block = n_tokens - first < kTokens ? n_tokens - first : kTokens;
      prepare_block(x + first * cols, n_block, cols, operand + b * block_bytes(kTokens, cols));
    }
  }

 private:
  /// x: (n, cols)
  static void prepare_block(const std::int8_t* x, std::size_t n, std::size_t cols, std::uint8_t* block) {
    std::memset(block, 0, kSumsBytes);
    auto* block_sums = reinterpret_cast<std::int32_t*>(block);
    for (std::size_t t = 0; t < n; ++t, x += cols) {
      block_sums[t] = sum(x, cols);
      copy_token(x, n, cols, block + kSumsBytes + t * kTogether);
    }
  }

  /// Copies one token among `n`, and zeros to the end of its padded columns.
  static void copy_token(const std::int8_t* x, std::size_t n, std::size_t cols, std::uint8_t* out) {
    std::size_t c = 0;
    for (; c + kTogether <= cols; c += kTogether, out += n * kTogether) {
      std::memcpy(out, x + c, kTogether);
    }
    for (; c < Columns::padded(cols); c += kTogether, out += n * kTogether) {
      std::memset(out, 0, kTogether);
      if (c < cols) std::memcpy(out, x + c, cols - c);
    }
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
