#include "src/engine/self_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/base/checked_math.h"
#include "src/base/half.h"

namespace tern::engine {
namespace {

using kernels::TernaryKernel;
using kernels::TernaryRoutine;

constexpr std::uint32_t kSeed = 1;

/// A product whose codes are still one per byte.
struct Case {
  std::size_t rows, cols, tokens;
  std::string values;
  std::vector<std::uint8_t> codes{};  // (rows, cols)
  std::vector<std::int8_t> x{};       // (tokens, cols)
  std::size_t n_col_blocks = 1;       // each a product of its own; their sums are added

  [[nodiscard]] std::size_t block_cols() const { return cols / n_col_blocks; }
};

Case random_case(std::size_t rows, std::size_t cols, std::size_t tokens) {
  std::mt19937 draw(kSeed);
  Case c{rows, cols, tokens, "random"};
  for (std::size_t i = 0; i < rows * cols; ++i) c.codes.push_back(static_cast<std::uint8_t>(draw() % 3));
  for (std::size_t i = 0; i < tokens * cols; ++i) c.x.push_back(static_cast<std::int8_t>(draw() % 255 - 127));
  return c;
}

/// One code and one activation everywhere: the largest sums that there are.
Case constant_case(std::size_t rows, std::size_t cols, std::size_t tokens, std::uint8_t code, std::int8_t x) {
  Case c{rows, cols, tokens, fmt::format("all {:+} and {}", static_cast<int>(code) - 1, x)};
  c.codes.assign(rows * cols, code);
  c.x.assign(tokens * cols, x);
  return c;
}

/// As of weights with a scale for every 256 columns.
Case blocks_case(std::size_t tokens) {
  constexpr std::size_t kBlocks = 3;
  Case c = random_case(67, kBlocks * 256, tokens);
  c.values = fmt::format("random in {} blocks", kBlocks);
  c.n_col_blocks = kBlocks;
  return c;
}

std::vector<Case> make_cases() {
  std::vector<Case> cases;
  for (const unsigned tokens : {1u, 3u, 7u, 16u, 33u}) {
    cases.push_back(random_case(67, 1283, tokens));
    cases.push_back(blocks_case(tokens));
    for (const std::uint8_t code : {std::uint8_t{0}, std::uint8_t{2}}) {
      for (const std::int8_t x : {std::int8_t{-127}, std::int8_t{127}})
        cases.push_back(constant_case(64, 6912, tokens, code, x));
    }
  }
  return cases;
}

AlignedBuffer<std::uint8_t> pack(const kernels::TernaryLayout& layout, const Case& c) {
  constexpr std::size_t kTail = 64;  // bytes past the end that kernels may read
  const std::size_t block_bytes = layout.block_bytes(c.block_cols());
  const std::size_t n_blocks = (c.rows + layout.row_block - 1) / layout.row_block * c.n_col_blocks;
  AlignedBuffer<std::uint8_t> packed(n_blocks * block_bytes + kTail);
  for (std::size_t b = 0; b < n_blocks; ++b) {
    const std::size_t row = b / c.n_col_blocks * layout.row_block;
    const std::size_t col = b % c.n_col_blocks * c.block_cols();
    layout.pack(c.codes.data() + row * c.cols + col, c.cols, std::min(layout.row_block, c.rows - row), c.block_cols(),
                packed.data() + b * block_bytes);
  }
  return packed;
}

/// The activations of one block of columns: (tokens, block_cols).
std::vector<std::int8_t> columns_of(const Case& c, std::size_t col_block) {
  std::vector<std::int8_t> columns;
  for (std::size_t t = 0; t < c.tokens; ++t) {
    const auto x = std::span(c.x).subspan(t * c.cols + col_block * c.block_cols(), c.block_cols());
    columns.insert(columns.end(), x.begin(), x.end());
  }
  return columns;
}

/// All rows and tokens of a case, from the first block of columns on; the sums go nowhere yet.
kernels::TernaryProduct product_of(const Case& c, const std::uint8_t* weights, const std::uint8_t* operand,
                                   std::uint8_t* scratch) {
  return {.weights = weights,
          .operand = operand,
          .n_tokens = c.tokens,
          .cols = c.block_cols(),
          .row_begin = 0,
          .row_end = c.rows,
          .token_begin = 0,
          .token_end = c.tokens,
          .sink = {},
          .scratch = scratch,
          .n_col_blocks = c.n_col_blocks};
}

/// (tokens, rows)
std::vector<std::int32_t> multiply(const TernaryKernel& kernel, const TernaryRoutine& routine, const Case& c) {
  struct Results {
    std::vector<std::int32_t> y;
    std::size_t rows;
  } results{std::vector<std::int32_t>(c.tokens * c.rows), c.rows};
  const auto take = [](void* context, std::size_t token, std::size_t row, std::size_t n, const std::int32_t* sums) {
    auto& to = *static_cast<Results*>(context);
    for (std::size_t i = 0; i < n; ++i) to.y[token * to.rows + row + i] += sums[i];
  };
  const AlignedBuffer<std::uint8_t> weights = pack(*kernel.layout, c);
  AlignedBuffer<std::uint8_t> operand(routine.operand_bytes(c.tokens, c.block_cols()));
  AlignedBuffer<std::uint8_t> scratch(std::max<std::size_t>(1, routine.scratch_bytes(c.block_cols())));
  for (std::size_t block = 0; block < c.n_col_blocks; ++block) {
    routine.prepare(columns_of(c, block).data(), c.tokens, c.block_cols(), 0, 1, operand.data());
    kernels::TernaryProduct product = product_of(c, weights.data(), operand.data(), scratch.data());
    product.col_block = block;
    product.sink = {take, &results};
    routine.multiply(product);
  }
  return results.y;
}

/// The same by a routine that takes all blocks of columns in one go, with scales of 1: floats hold such sums exactly.
std::vector<std::int32_t> multiply_scaled(const TernaryKernel& kernel, const TernaryRoutine& routine, const Case& c) {
  const std::size_t operand_bytes = round_up(routine.operand_bytes(c.tokens, c.block_cols()), kCacheLine);
  AlignedBuffer<std::uint8_t> operand(c.n_col_blocks * operand_bytes);
  for (std::size_t b = 0; b < c.n_col_blocks; ++b) {
    routine.prepare(columns_of(c, b).data(), c.tokens, c.block_cols(), 0, 1, operand.data() + b * operand_bytes);
  }
  const AlignedBuffer<std::uint8_t> weights = pack(*kernel.layout, c);
  AlignedBuffer<std::uint8_t> scratch(std::max<std::size_t>(1, routine.scratch_bytes(c.block_cols())));
  const std::vector<double> steps(c.n_col_blocks * c.tokens, 1.0);
  const std::vector<std::uint16_t> row_scales(c.n_col_blocks * c.rows, f32_to_f16(1.0f));
  std::vector<float> y(c.tokens * c.rows);
  routine.multiply_scaled(product_of(c, weights.data(), operand.data(), scratch.data()),
                          {.operand_bytes = operand_bytes,
                           .steps = steps.data(),
                           .row_scales = row_scales.data(),
                           .n_rows = c.rows,
                           .y = y.data(),
                           .stride = c.rows,
                           .add_scaled_sums = kernels::all_float_kernels().back()->add_scaled_sums});
  std::vector<std::int32_t> sums;
  for (const float v : y) {
    sums.push_back(v > -1e9f && v < 1e9f ? static_cast<std::int32_t>(v) : std::numeric_limits<std::int32_t>::min());
  }
  return sums;
}

/// The first place where two results differ, as (token, row); described by `describe`.
template <typename T, typename Describe>
std::optional<Mismatch> compare(std::span<const T> found, std::span<const T> expected, const Describe& describe) {
  // Bytes, not values: NaN and zeros of either sign are results too.
  const auto same = [](const T& a, const T& b) {
    return std::bit_cast<std::array<std::byte, sizeof(T)>>(a) == std::bit_cast<std::array<std::byte, sizeof(T)>>(b);
  };
  const auto [at, wanted] = std::ranges::mismatch(found, expected, same);
  if (at == found.end()) return std::nullopt;
  return Mismatch{describe(static_cast<std::size_t>(at - found.begin())), fmt::format("{}", *wanted),
                  fmt::format("{}", *at)};
}

std::vector<float> random_floats(std::size_t n, float largest) {
  std::mt19937 draw(kSeed);
  std::vector<float> values(n);
  for (float& v : values) v = (static_cast<float>(draw() % 20001) / 10000.0f - 1.0f) * largest;
  return values;
}

// --- heads ------------------------------------------------------------------------------------------------------

struct HeadCase {
  std::size_t rows, cols, tokens;
};

/// (tokens, rows)
std::vector<float> head_logits(const kernels::HeadKernels& head, const HeadCase& c) {
  const std::size_t stride = (c.cols + kernels::kHeadAlignment - 1) / kernels::kHeadAlignment * kernels::kHeadAlignment;
  constexpr std::size_t kTail = 64;  // bytes past the end that kernels may read
  AlignedBuffer<std::uint8_t> rows(c.rows * stride + kTail);
  std::vector<float> scales(c.rows);
  const std::vector<float> weights = random_floats(c.rows * c.cols, 0.1f);
  for (std::size_t r = 0; r < c.rows; ++r) {
    scales[r] = head.quantize_row_f32(weights.data() + r * c.cols, c.cols, rows.data() + r * stride);
  }
  AlignedBuffer<std::uint8_t> operand(head.operand_bytes(c.tokens, c.cols));
  const std::vector<float> hidden = random_floats(c.tokens * c.cols, 30.0f);
  for (std::size_t t = 0; t < c.tokens; ++t) {
    head.quantize_hidden(hidden.data() + t * c.cols, c.cols, {t, c.tokens}, operand.data());
  }
  std::vector<float> y(c.tokens * c.rows);
  head.multiply({.rows = rows.data(),
                 .stride = stride,
                 .scales = scales.data(),
                 .operand = operand.data(),
                 .cols = c.cols,
                 .n_tokens = c.tokens,
                 .row_begin = 0,
                 .row_end = c.rows,
                 .y = y.data(),
                 .y_stride = c.rows});
  return y;
}

// --- floats -----------------------------------------------------------------------------------------------------

struct FloatResults {
  std::vector<float> normed, silu, gelu, relu2;
  std::vector<std::int8_t> quantized;
};

FloatResults float_results(const kernels::FloatKernels& floats) {
  constexpr std::size_t n = 1003;  // fills no register
  const std::vector<float> x = random_floats(n, 5.0f);
  const std::vector<float> weight = random_floats(n, 1.0f);
  FloatResults r{std::vector<float>(n), std::vector<float>(n), std::vector<float>(n), std::vector<float>(n),
                 std::vector<std::int8_t>(n)};
  floats.rms_norm(x.data(), weight.data(), n, 1e-5f, r.normed.data());
  floats.silu_mul(x.data(), weight.data(), n, r.silu.data());
  floats.gelu_mul(x.data(), weight.data(), n, r.gelu.data());
  floats.relu2_mul(x.data(), weight.data(), n, r.relu2.data());
  floats.quantize(x.data(), n, r.quantized.data());
  return r;
}

}  // namespace

std::optional<Mismatch> find_mismatch(const TernaryKernel& kernel) {
  for (const Case& c : make_cases()) {
    std::vector<std::int32_t> expected(c.tokens * c.rows);
    kernels::reference_product(c.codes.data(), c.rows, c.cols, c.x.data(), c.tokens, expected.data());
    for (const bool prompt : {false, true}) {
      const TernaryRoutine& routine = prompt ? kernel.prompt : kernel.decode;
      if (routine.multiply == nullptr) continue;
      const bool scaled = c.n_col_blocks > 1 && routine.multiply_scaled != nullptr;
      const std::vector<std::int32_t> found =
          scaled ? multiply_scaled(kernel, routine, c) : multiply(kernel, routine, c);
      const auto mismatch = compare<std::int32_t>(found, expected, [&](std::size_t i) {
        return fmt::format("{}, row {} of token {}, {} rows, {} columns, {} tokens, {}", prompt ? "prompt" : "decode",
                           i % c.rows, i / c.rows, c.rows, c.cols, c.tokens, c.values);
      });
      if (mismatch) return mismatch;
    }
  }
  return std::nullopt;
}

std::optional<Mismatch> find_mismatch(const kernels::HeadKernels& head) {
  for (const HeadCase& c : {HeadCase{70, 643, 1}, HeadCase{70, 643, 4}, HeadCase{33, 2560, 17}}) {
    const std::vector<float> expected = head_logits(*kernels::all_head_kernels().back(), c);
    const auto mismatch = compare<float>(head_logits(head, c), expected, [&](std::size_t i) {
      return fmt::format("row {} of token {}, {} rows, {} columns, {} tokens", i % c.rows, i / c.rows, c.rows, c.cols,
                         c.tokens);
    });
    if (mismatch) return mismatch;
  }
  return std::nullopt;
}

std::optional<Mismatch> find_mismatch(const kernels::FloatKernels& floats) {
  const FloatResults expected = float_results(*kernels::all_float_kernels().back());
  const FloatResults found = float_results(floats);
  const auto of = [](const char* what) {
    return [what](std::size_t i) { return fmt::format("{}, element {}", what, i); };
  };
  if (const auto m = compare<float>(found.normed, expected.normed, of("RMSNorm"))) return m;
  if (const auto m = compare<float>(found.silu, expected.silu, of("SiLU"))) return m;
  if (const auto m = compare<float>(found.gelu, expected.gelu, of("GELU"))) return m;
  if (const auto m = compare<float>(found.relu2, expected.relu2, of("ReLU squared"))) return m;
  return compare<std::int8_t>(found.quantized, expected.quantized, of("quantization"));
}

}  // namespace tern::engine
