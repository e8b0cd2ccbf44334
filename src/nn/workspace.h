#pragma once

#include <cstddef>
#include <cstdint>

#include "src/base/aligned_buffer.h"

namespace tern::nn {

/// Memory that grows to the largest size ever asked for and is then reused; contents do not survive growth.
template <typename T>
class Scratch {
 public:
  [[nodiscard]] T* take(std::size_t size) {
    if (size > buffer_.size()) buffer_ = AlignedBuffer<T>(size);
    return buffer_.data();
  }

 private:
  AlignedBuffer<T> buffer_;
};

/// Scratch memory of the layers, owned by a session and shared by all of its passes.
struct Workspace {
  Scratch<std::int8_t> quantized;    // int8 activations, (n_col_blocks, n_tokens, block_cols)
  Scratch<double> steps;             // real value of one step of them, (n_col_blocks, n_tokens)
  Scratch<std::uint8_t> operand;     // what the ternary kernel made of them
  Scratch<std::uint8_t> per_thread;  // scratch of the kernels, one part per thread
  Scratch<float> dense_rows;         // decoded rows of float matrices, (n_threads, kDenseRowBlock, cols)
  Scratch<float> attention;          // queries, weights and partial results of attention
};

}  // namespace tern::nn
