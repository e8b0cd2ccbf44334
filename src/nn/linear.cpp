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

  const std::size_t bytes = round_up(routine.operand_bytes(x.rows, block_cols), AlignedBuffer<int>::kAlignment);
  std::uint8_t* prepared = compute.work.operand.take(n_col_blocks * bytes);
  const auto prepare_part = [&](std::size_t part, std::size_t n_parts) {
    for (std::size_t b = 0; b < n_col_blocks; ++b) {
      routine.prepare(quantized + b * x.rows * block_cols, x.rows, block_cols, part, n_parts, prepared + b * bytes);
    }
  };
  if (x.rows * x.cols >= kPrepareTogether) {
    compute.pool.run([&](unsigned thread) { prepare_part(thread, compute.pool.size()); });
  } else {
    prepare_part(0, 1);
  }
  return {&routine, x.rows, block_cols, n_col_blocks, steps, prepared, bytes};
}

/// Turns the integer sums of one token into real values.  sums, y: rows [row_begin, row_end) of one token
void apply_scales(const kernels::FloatKernels& floats, const TernaryMatrix& matrix, std::size_t col_block,
                  std::size_t row_begin, std::size_t n_rows, double step, const std::int32_t* sums, float* y) {
  if (matrix.kind == ScaleKind::kTensor) {
    floats.scale_sums(sums, n_rows, step * static_cast<double>(matrix.scales[0]), y);
  } else {
    const float* row_scales = matrix.scales.data() + col_block * matrix.rows + row_begin;
    floats.scale_sums_by_row(sums, n_rows, step, row_scales, col_block > 0, y);
  }
}

/// Rows [row_begin, row_end) of one ternary layer for all tokens.  sums: (n_tokens, rows)
void multiply_rows(const Compute& compute, const Operand& operand, const Projection& projection, std::size_t row_begin,
                   std::size_t row_end, std::int32_t* sums, std::uint8_t* scratch) {
  const TernaryMatrix& matrix = *projection.linear->ternary;
  for (std::size_t b = 0; b < operand.n_col_blocks; ++b) {
    operand.routine->multiply({.weights = matrix.col_block(b),
                               .operand = operand.prepared + b * operand.prepared_bytes,
                               .n_tokens = operand.n_tokens,
                               .cols = operand.block_cols,
                               .row_begin = row_begin,
                               .row_end = row_end,
                               .y = sums,
                               .y_stride = matrix.rows,
                               .scratch = scratch});
    for (std::size_t t = 0; t < operand.n_tokens; ++t) {
      apply_scales(compute.floats, matrix, b, row_begin, row_end - row_begin, operand.steps[b * operand.n_tokens + t],
                   sums + t * matrix.rows + row_begin, projection.y.row(t) + row_begin);
    }
  }
}

/// All rows of a group of ternary layers that share kernel and input, as one range of row blocks that the threads
/// split.
void multiply_group(const Compute& compute, const Operand& operand, std::span<const Projection> group) {
  const kernels::TernaryLayout& layout = *group[0].linear->ternary->kernel->layout;
  const auto blocks_of = [&](const Projection& p) {
    return (p.linear->rows + layout.row_block - 1) / layout.row_block;
  };
  std::size_t n_blocks = 0;
  std::size_t n_rows = 0;
  for (const Projection& p : group) {
    n_blocks += blocks_of(p);
    n_rows += p.linear->rows;
  }
  std::int32_t* all_sums = compute.work.sums.take(operand.n_tokens * n_rows);
  const std::size_t scratch_bytes =
      round_up(operand.routine->scratch_bytes(operand.block_cols), AlignedBuffer<int>::kAlignment);
  std::uint8_t* scratch = compute.work.per_thread.take(compute.pool.size() * scratch_bytes);

  compute.pool.parallel_for(n_blocks, 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
    std::int32_t* sums = all_sums;
    std::size_t first = 0;  // of this layer's blocks within the range
    for (const Projection& p : group) {
      const std::size_t last = first + blocks_of(p);
      const std::size_t from = std::max(begin, first);
      const std::size_t to = std::min(end, last);
      if (from < to) {
        multiply_rows(compute, operand, p, (from - first) * layout.row_block,
                      std::min((to - first) * layout.row_block, p.linear->rows), sums,
                      scratch + thread * scratch_bytes);
      }
      sums += operand.n_tokens * p.linear->rows;
      first = last;
    }
  });
}

/// A small batch goes through the decode routine too, which reads the weights once for all of its tokens.
void project_ternary(const Compute& compute, MatrixView x, std::span<const Projection> group) {
  const TernaryMatrix& first = *group[0].linear->ternary;
  const kernels::TernaryKernel& kernel = *first.kernel;
  const TernaryRoutine& routine = x.rows < kernel.min_prompt_tokens ? kernel.decode : kernel.prompt;
  multiply_group(compute, prepare(compute, routine, x, first.block_cols), group);
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
  return (ternary ? ternary->bytes() : dense.bytes()) + bias.size() * sizeof(float);
}

void project(const Compute& compute, MatrixView x, std::span<const Projection> projections) {
  for (std::size_t begin = 0; begin < projections.size();) {
    std::size_t end = begin + 1;
    while (end < projections.size() && share_operand(projections[begin], projections[end])) ++end;
    if (projections[begin].linear->ternary) {
      project_ternary(compute, x, projections.subspan(begin, end - begin));
    } else {
      project_dense(compute, x, projections[begin]);
    }
    begin = end;
  }
  for (const Projection& projection : projections) finish(compute, projection);
}

}  // namespace tern::nn
