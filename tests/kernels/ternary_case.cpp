#include "tests/kernels/ternary_case.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <sstream>

namespace tern::kernels::test {

std::vector<std::int32_t> Case::expected() const {
  std::vector<std::int32_t> y(tokens * rows);
  reference_product(codes.data(), rows, cols, x.data(), tokens, y.data());
  return y;
}

std::string Case::name() const {
  std::ostringstream out;
  out << "rows " << rows << ", cols " << cols << ", tokens " << tokens << ", seed " << seed;
  return out.str();
}

Case random_case(std::size_t rows, std::size_t cols, std::size_t tokens, std::uint32_t seed) {
  Case c = constant_case(rows, cols, tokens, 0, 0);
  c.seed = seed;
  std::mt19937 random(seed);
  std::ranges::generate(c.codes, [&] { return static_cast<std::uint8_t>(random() % 3); });
  std::ranges::generate(c.x, [&] { return static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127); });
  return c;
}

Case constant_case(std::size_t rows, std::size_t cols, std::size_t tokens, std::uint8_t code, std::int8_t x) {
  return {.rows = rows,
          .cols = cols,
          .tokens = tokens,
          .codes = std::vector<std::uint8_t>(rows * cols, code),
          .x = std::vector<std::int8_t>(tokens * cols, x)};
}

AlignedBuffer<std::uint8_t> pack(const TernaryLayout& layout, const Case& c) {
  const std::size_t n_blocks = (c.rows + layout.row_block - 1) / layout.row_block;
  const std::size_t block_bytes = layout.block_bytes(c.cols);
  AlignedBuffer<std::uint8_t> packed(n_blocks * block_bytes);
  std::ranges::fill(packed.span(), std::uint8_t{0xFF});  // no code: whatever is left unwritten spoils the product
  for (std::size_t b = 0; b < n_blocks; ++b) {
    const std::size_t row = b * layout.row_block;
    layout.pack(c.codes.data() + row * c.cols, c.cols, std::min(layout.row_block, c.rows - row), c.cols,
                packed.data() + b * block_bytes);
  }
  return packed;
}

AlignedBuffer<std::uint8_t> prepare(const TernaryRoutine& routine, const Case& c, std::size_t n_parts) {
  AlignedBuffer<std::uint8_t> operand(routine.operand_bytes(c.tokens, c.cols));
  std::ranges::fill(operand.span(), std::uint8_t{0xA5});
  for (std::size_t part = n_parts; part-- > 0;) {
    routine.prepare(c.x.data(), c.tokens, c.cols, part, n_parts, operand.data());
  }
  return operand;
}

void Results::take(void* context, std::size_t token, std::size_t row, std::size_t n_rows, const std::int32_t* sums) {
  const auto& to = *static_cast<const Results*>(context);
  std::copy_n(sums, n_rows, to.y + token * to.stride + row);
}

std::vector<std::int32_t> multiply(const TernaryKernel& kernel, const TernaryRoutine& routine, const Case& c, Cut cut) {
  const AlignedBuffer<std::uint8_t> weights = pack(*kernel.layout, c);
  const AlignedBuffer<std::uint8_t> operand = prepare(routine, c, cut.parts);
  AlignedBuffer<std::uint8_t> scratch(routine.scratch_bytes(c.cols));
  std::ranges::fill(scratch.span(), std::uint8_t{0xA5});
  std::vector<std::int32_t> y(c.tokens * c.rows, 0x55555555);
  const std::size_t n_blocks = (c.rows + kernel.layout->row_block - 1) / kernel.layout->row_block;
  const std::size_t piece = std::min(cut.piece_blocks, n_blocks) * kernel.layout->row_block;
  const std::size_t tokens = cut.cut_tokens ? routine.grain(c.tokens, c.cols).tokens : c.tokens;
  Results results{y.data(), c.rows};
  for (std::size_t row = 0; row < c.rows; row += piece) {
    for (std::size_t token = 0; token < c.tokens; token += tokens) {
      routine.multiply({.weights = weights.data(),
                        .operand = operand.data(),
                        .n_tokens = c.tokens,
                        .cols = c.cols,
                        .row_begin = row,
                        .row_end = std::min(row + piece, c.rows),
                        .token_begin = token,
                        .token_end = std::min(token + tokens, c.tokens),
                        .sink = results.sink(),
                        .scratch = scratch.data()});
    }
  }
  return y;
}

std::vector<const TernaryKernel*> kernels_here() {
  std::vector<const TernaryKernel*> found;
  std::ranges::copy_if(all_ternary_kernels(), std::back_inserter(found),
                       [](const TernaryKernel* kernel) { return missing_for(kernel->isa).empty(); });
  return found;
}

std::string Phase::name() const {
  std::string text = std::string(kernel->name) + (prompt ? "_prompt" : "_decode");
  std::ranges::replace(text, '-', '_');
  return text;
}

std::vector<Phase> phases_here() {
  std::vector<Phase> phases;
  for (const TernaryKernel* kernel : kernels_here()) {
    if (kernel->decode.multiply != nullptr) phases.push_back({kernel, false});
    if (kernel->prompt.multiply != nullptr) phases.push_back({kernel, true});
  }
  return phases;
}

}  // namespace tern::kernels::test
