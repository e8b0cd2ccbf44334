#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "src/base/aligned_buffer.h"

/// What the tests of the ternary kernels share: cases, and running a kernel on them as the engine would.
namespace tern::kernels::test {

/// A product to compute, with the codes still one per byte.
struct Case {
  std::size_t rows;
  std::size_t cols;
  std::size_t tokens;
  std::vector<std::uint8_t> codes;  // (rows, cols)
  std::vector<std::int8_t> x;       // (tokens, cols)

  [[nodiscard]] std::vector<std::int32_t> expected() const;  // (tokens, rows), from reference_product()
  [[nodiscard]] std::string name() const;                    // "rows 3, cols 5, tokens 1, seed 42"
  std::uint32_t seed = 0;
};

/// Uniform codes, and activations uniform in [-127, 127].
[[nodiscard]] Case random_case(std::size_t rows, std::size_t cols, std::size_t tokens, std::uint32_t seed);
/// One code and one activation everywhere.
[[nodiscard]] Case constant_case(std::size_t rows, std::size_t cols, std::size_t tokens, std::uint8_t code,
                                 std::int8_t x);

/// A matrix in a kernel's layout.
[[nodiscard]] AlignedBuffer<std::uint8_t> pack(const TernaryLayout& layout, const Case& c);
/// Activations as a routine wants them, prepared in `n_parts` parts from the last to the first.
[[nodiscard]] AlignedBuffer<std::uint8_t> prepare(const TernaryRoutine& routine, const Case& c, std::size_t n_parts);

/// How a product is cut up: the activations into parts, the rows into pieces of `piece_blocks` row
/// blocks, the tokens, if they are cut, into the smallest pieces that the routine allows.
struct Cut {
  std::size_t parts = 1;
  std::size_t piece_blocks = static_cast<std::size_t>(-1);
  bool cut_tokens = false;
};

/// Where a product's results go; element (t, r) at y[t * stride + r].
struct Results {
  std::int32_t* y;
  std::size_t stride;

  /// Must outlive the product.
  [[nodiscard]] SumSink sink() { return {take, this}; }

 private:
  static void take(void* context, std::size_t token, std::size_t row, std::size_t n_rows, const std::int32_t* sums);
};

/// (tokens, rows)
[[nodiscard]] std::vector<std::int32_t> multiply(const TernaryKernel& kernel, const TernaryRoutine& routine,
                                                 const Case& c, Cut cut = {});

/// Every kernel of this binary that this processor can run.
[[nodiscard]] std::vector<const TernaryKernel*> kernels_here();

/// One kernel in one phase.
struct Phase {
  const TernaryKernel* kernel;
  bool prompt;

  [[nodiscard]] const TernaryRoutine& routine() const { return prompt ? kernel->prompt : kernel->decode; }
  [[nodiscard]] std::string name() const;                                               // "addsub_avx2_prompt"
  friend void PrintTo(const Phase& phase, std::ostream* out) { *out << phase.name(); }  // for GoogleTest
};
[[nodiscard]] std::vector<Phase> phases_here();

}  // namespace tern::kernels::test
