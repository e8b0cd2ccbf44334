#include "src/nn/linear.h"

#include <algorithm>

#include "src/base/checked_math.h"

namespace tern::nn {
namespace {

using kernels::TernaryRoutine;
using weights::ScaleKind;
using weights::TernaryMatrix;

/// Below this many activations, preparing them is quicker alone than with a second start of the workers.
constexpr std::size_t kPrepareTogether = 1 << 14;

/// The input of a group of ternary layers, quantized and prepared for their kernel.
struct Operand {
  const TernaryRoutine* routine = nullptr;
  std::size_t n_tokens = 0;
  std::size_t block_cols = 0;  // columns that are quantized together
  std::size_t n_col_blocks = 0;
  const double* steps = nullptr;  // (n_col_blocks, n_tokens)
  const std::uint8_t* prepared = nullptr;
  std::size_t prepared_bytes = 0;  // of one block of columns
  kernels::Grain grain = {};
};

/// Quantizes x to int8, (n_col_blocks, n_tokens, block_cols), with one step per token and block of columns.
const std::int8_t* quantize(const Compute& compute, MatrixView x, std::size_t block_cols, double* steps) {
  std::int8_t* quantized = compute.work.quantized.take(x.rows * x.cols);
  compute.for_each_token(x.rows, [&](std::size_t t) {
    for (std::size_t b = 0; b < x.cols / block_cols; ++b) {
      const std::size_t row = b * x.rows + t;
      steps[row] = compute.floats.quantize(x.row(t) + b * block_cols, block_cols, quantized + row * block_cols);
    }
  });
  return quantized;
}

Operand prepare(const Compute& compute, const TernaryRoutine& routine, MatrixView x, std::size_t block_cols) {
  const std::size_t n_col_blocks = x.cols / block_cols;
  double* steps = compute.work.steps.take(n_col_blocks * x.rows);
  const std::int8_t* quantized = quantize(compute, x, block_cols, steps);

  const std::size_t bytes = round_up(routine.operand_bytes(x.rows, block_cols), kCacheLine);
  std::uint8_t* prepared = compute.work.operand.take(n_col_blocks * bytes);
  const auto prepare_part = [&](std::size_t part, std::size_t n_parts) {
    for (std::size_t b = 0; b < n_col_blocks; ++b) {
      routine.prepare(quantized + b * x.rows * block_cols, x.rows, block_cols, part, n_parts, prepared + b * bytes);
    }
  };
  if (x.rows * x.cols >= kPrepareTogether) {
    const std::size_t n_parts = std::size_t{4} * compute.pool.size();
    compute.pool.parallel_for(n_parts, 1, [&](std::size_t begin, std::size_t end, unsigned) {
      for (std::size_t part = begin; part < end; ++part) prepare_part(part, n_parts);
    });
  } else {
    prepare_part(0, 1);
  }
  return {&routine, x.rows, block_cols, n_col_blocks, steps, prepared, bytes, routine.grain(x.rows, block_cols)};
}

/// Turns the integer sums of a piece of a layer into real values, as the kernel hands them over.
struct ScaledSum {
  const kernels::FloatKernels& floats;
  const TernaryMatrix& matrix;
  const Operand& operand;
  std::size_t col_block;
  MatrixView y;  // (n_tokens, rows)

  static void take(void* context, std::size_t token, std::size_t row, std::size_t n_rows, const std::int32_t* sums) {
    const auto& self = *static_cast<const ScaledSum*>(context);
    const double step = self.operand.steps[self.col_block * self.operand.n_tokens + token];
    float* y = self.y.row(token) + row;
    // Results of many tokens go to memory that is in no cache: it is asked for while other tokens are computed.
    constexpr std::size_t kTokensAhead = 2;
    constexpr std::size_t kLine = 64 / sizeof(float);
    for (std::size_t r = 0; token + kTokensAhead < self.y.rows && r < n_rows; r += kLine) {
      __builtin_prefetch(y + kTokensAhead * self.y.cols + r, 1);
    }
    const TernaryMatrix& matrix = self.matrix;
    switch (matrix.kind) {
      case ScaleKind::kTensor:
        return self.floats.scale_sums(sums, n_rows, step * static_cast<double>(matrix.scales[0]), y);
      case ScaleKind::kRow:
        return self.floats.scale_sums_by_row(sums, n_rows, step, matrix.scales.data() + row, y);
      case ScaleKind::kBlock: {
        const std::uint16_t* scales = matrix.block_scales.data() + self.col_block * matrix.rows + row;
        // Those of the next block of columns are wanted soon, and lie far away.
        for (std::size_t r = 0; self.col_block + 1 < matrix.n_col_blocks && r < n_rows; r += 2 * kLine) {
          __builtin_prefetch(scales + matrix.rows + r);
        }
        return self.floats.add_scaled_sums(sums, n_rows, static_cast<float>(step), scales, self.col_block > 0, y);
      }
    }
  }
};

/// Rows and tokens of one layer that a thread computes in one go.
struct Piece {
  const Projection* projection;
  std::size_t row_begin, row_end;
  std::size_t token_begin, token_end;
};

/// A piece of a layer as a kernel takes it, from the first block of columns on; the sums go nowhere yet.
kernels::TernaryProduct product_of(const Operand& operand, const Piece& piece, std::uint8_t* scratch) {
  const TernaryMatrix& matrix = *piece.projection->linear->ternary;
  return {.weights = matrix.weights.data(),
          .operand = operand.prepared,
          .n_tokens = operand.n_tokens,
          .cols = operand.block_cols,
          .row_begin = piece.row_begin,
          .row_end = piece.row_end,
          .token_begin = piece.token_begin,
          .token_end = piece.token_end,
          .sink = {},
          .scratch = scratch,
          .col_block = 0,
          .n_col_blocks = operand.n_col_blocks};
}

/// A piece of a layer whose columns have scales by blocks, by a kernel that takes them all at once.
void multiply_scaled(const Compute& compute, const Operand& operand, const Piece& piece, std::uint8_t* scratch) {
  const TernaryMatrix& matrix = *piece.projection->linear->ternary;
  operand.routine->multiply_scaled(product_of(operand, piece, scratch),
                                   {.operand_bytes = operand.prepared_bytes,
                                    .steps = operand.steps,
                                    .row_scales = matrix.block_scales.data(),
                                    .n_rows = matrix.rows,
                                    .y = piece.projection->y.data,
                                    .stride = piece.projection->y.cols,
                                    .add_scaled_sums = compute.floats.add_scaled_sums});
}

/// A piece of a layer with one block of its columns.
void multiply_columns(const Compute& compute, const Operand& operand, const Piece& piece, std::size_t col_block,
                      std::uint8_t* scratch) {
  const TernaryMatrix& matrix = *piece.projection->linear->ternary;
  ScaledSum sum{compute.floats, matrix, operand, col_block, piece.projection->y};
  kernels::TernaryProduct product = product_of(operand, piece, scratch);
  product.operand += col_block * operand.prepared_bytes;
  product.col_block = col_block;
  product.sink = {ScaledSum::take, &sum};
  operand.routine->multiply(product);
}

/// All columns of some rows before the next rows, as the weights lie in memory.
void multiply_piece(const Compute& compute, const Operand& operand, const Piece& piece, std::uint8_t* scratch) {
  if (operand.n_col_blocks == 1) return multiply_columns(compute, operand, piece, 0, scratch);
  if (operand.routine->multiply_scaled != nullptr) return multiply_scaled(compute, operand, piece, scratch);
  Piece rows = piece;
  for (; rows.row_begin < piece.row_end; rows.row_begin = rows.row_end) {
    rows.row_end = std::min(rows.row_begin + operand.grain.rows_together, piece.row_end);
    for (std::size_t b = 0; b < operand.n_col_blocks; ++b) multiply_columns(compute, operand, rows, b, scratch);
  }
}

/// The rows of a group of layers as one range of row blocks, cut with the tokens into numbered pieces: tokens in the
/// outer order, so that neighbours read neighbouring weights.
class Pieces {
 public:
  Pieces(std::span<const Projection> group, const Operand& operand, std::size_t n_threads)
      : group_(group), row_block_(group[0].linear->ternary->layout->row_block), n_tokens_(operand.n_tokens) {
    const kernels::Grain& grain = operand.grain;
    tokens_ = std::min(grain.tokens, n_tokens_);
    n_token_pieces_ = divide_up(n_tokens_, tokens_);
    for (const Projection& p : group) n_blocks_ += blocks_of(p);
    // The same number for every thread, two at least, so that threads of one speed finish together and others share.
    const std::size_t wanted = divide_up(n_blocks_ * row_block_, grain.rows) * n_token_pieces_;
    const std::size_t n_pieces = std::max(divide_up(wanted, n_threads), std::size_t{2}) * n_threads;
    n_row_pieces_ = std::min(divide_up(n_pieces, n_token_pieces_), n_blocks_);
  }

  [[nodiscard]] std::size_t size() const noexcept { return n_token_pieces_ * n_row_pieces_; }

  /// body(Piece) for every layer that piece `i` has rows of.
  template <typename Body>
  void for_each_layer(std::size_t i, const Body& body) const {
    const std::size_t token = i / n_row_pieces_ * tokens_;
    const std::size_t begin = n_blocks_ * (i % n_row_pieces_) / n_row_pieces_;
    const std::size_t end = n_blocks_ * (i % n_row_pieces_ + 1) / n_row_pieces_;
    std::size_t first = 0;  // of the layer's blocks
    for (const Projection& p : group_) {
      const std::size_t last = first + blocks_of(p);
      const std::size_t from = std::max(begin, first);
      const std::size_t to = std::min(end, last);
      if (from < to) {
        body(Piece{&p, (from - first) * row_block_, std::min((to - first) * row_block_, p.linear->rows), token,
                   std::min(token + tokens_, n_tokens_)});
      }
      first = last;
    }
  }

 private:
  static std::size_t divide_up(std::size_t a, std::size_t b) noexcept { return (a + b - 1) / b; }
  [[nodiscard]] std::size_t blocks_of(const Projection& p) const noexcept {
    return divide_up(p.linear->rows, row_block_);
  }

  std::span<const Projection> group_;
  std::size_t row_block_, n_tokens_, tokens_ = 0, n_token_pieces_ = 0, n_blocks_ = 0, n_row_pieces_ = 0;
};

/// All rows of a group of ternary layers that share an input, in pieces that the threads share.
void multiply_group(const Compute& compute, const Operand& operand, std::span<const Projection> group) {
  const Pieces pieces(group, operand, compute.pool.size());
  const std::size_t scratch_bytes = round_up(operand.routine->scratch_bytes(operand.block_cols), kCacheLine);
  std::uint8_t* scratch = compute.work.per_thread.take(compute.pool.size() * scratch_bytes);
  compute.pool.parallel_for(pieces.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
    for (std::size_t i = begin; i < end; ++i) {
      pieces.for_each_layer(
          i, [&](const Piece& piece) { multiply_piece(compute, operand, piece, scratch + thread * scratch_bytes); });
    }
  });
}

void project_ternary(const Compute& compute, MatrixView x, std::span<const Projection> group) {
  const TernaryRoutine& routine = *compute.kernels.step_for(x.rows).routine;
  multiply_group(compute, prepare(compute, routine, x, group[0].linear->ternary->block_cols), group);
}

void project_dense(const Compute& compute, MatrixView x, const Projection& projection) {
  const DenseMatrix& matrix = projection.linear->dense;
  const std::size_t scratch_size = kDenseRowBlock * matrix.cols;
  float* scratch = compute.work.dense_rows.take(compute.pool.size() * scratch_size);
  compute.pool.parallel_for(matrix.rows, kDenseRowBlock, [&](std::size_t begin, std::size_t end, unsigned thread) {
    multiply_dense(compute.floats, matrix, x.data, x.rows, begin, end, projection.y.data, projection.y.cols,
                   scratch + thread * scratch_size);
  });
}

/// Layers of a group that quantize their input alike come next to each other.
bool share_operand(const Projection& a, const Projection& b) {
  return a.linear->ternary && b.linear->ternary && a.linear->ternary->block_cols == b.linear->ternary->block_cols;
}

void finish(const Compute& compute, const Projection& projection) {
  const Linear& linear = *projection.linear;
  if (linear.scale == 1.0f && linear.bias.empty()) return;
  compute.for_each_token(projection.y.rows, [&](std::size_t t) {
    float* y = projection.y.row(t);
    if (linear.scale != 1.0f) compute.floats.scale(linear.scale, linear.rows, y);
    if (!linear.bias.empty()) compute.floats.add(linear.bias.data(), linear.rows, y);
  });
}

}  // namespace

std::uint64_t Linear::bytes() const noexcept {
  const std::uint64_t floats = int8 ? head_bytes(rows, cols) : dense.bytes();
  return (ternary ? ternary->bytes() : floats) + bias.size() * sizeof(float);
}

void project(const Compute& compute, MatrixView x, std::span<const Projection> projections) {
  for (std::size_t begin = 0; begin < projections.size();) {
    std::size_t end = begin + 1;
    while (end < projections.size() && share_operand(projections[begin], projections[end])) ++end;
    if (projections[begin].linear->ternary) {
      project_ternary(compute, x, projections.subspan(begin, end - begin));
    } else if (projections[begin].linear->int8) {
      project_head(compute, *projections[begin].linear->int8, x, projections[begin].y);
    } else {
      project_dense(compute, x, projections[begin]);
    }
    begin = end;
  }
  for (const Projection& projection : projections) finish(compute, projection);
}

}  // namespace tern::nn
