#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tern::test {

/// A ternary matrix in plain form: value = (code - 1) * scale.
struct TernaryWeights {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t scale_cols = 0;       ///< columns that share a scale
  std::vector<std::uint8_t> codes;  ///< (rows, cols)
  std::vector<float> scales;        ///< (rows, cols / scale_cols); types with fewer take the first of each

  [[nodiscard]] std::uint8_t code(std::size_t row, std::size_t col) const { return codes[row * cols + col]; }
  [[nodiscard]] float scale(std::size_t row, std::size_t col) const { return scales[(row * cols + col) / scale_cols]; }
};

/// How a tensor type is written. The drawings are in src/weights.
struct TernaryPacking {
  std::string_view name;
  std::uint32_t gguf_type;
  std::size_t scale_cols;  ///< columns that share a scale; 0: all
  std::vector<std::byte> (*pack)(const TernaryWeights& weights);
};

/// "TQ1_0", "TQ2_0", "I2_S", "Q1_0", "Q2_0", "PQ2_0", "PTQ1_0", "IQ1_BN", "IQ2_BN", "IQ2_BN_R4"; "Q2_0_128" for blocks
/// of 128 under the number of Q2_0; "F16" for the same weights as floats.
/// Throws std::runtime_error when there is none of this name.
[[nodiscard]] const TernaryPacking& find_packing(std::string_view name);

}  // namespace tern::test
