#pragma once

#include <cstddef>

#include "kernels/choice.h"
#include "src/base/thread_pool.h"
#include "src/nn/workspace.h"

namespace tern::nn {

/// What a layer computes with: workers, float kernels, scratch memory.
struct Compute {
  ThreadPool& pool;
  const kernels::Choice& kernels;
  const kernels::FloatKernels& floats;
  Workspace& work;

  /// body(token) for every token of a batch, shared between the threads. One token runs here, without waking anyone.
  template <typename Body>
  void for_each_token(std::size_t n_tokens, const Body& body) const {
    pool.parallel_for(n_tokens, 1, [&](std::size_t begin, std::size_t end, unsigned) {
      for (std::size_t t = begin; t < end; ++t) body(t);
    });
  }
};

}  // namespace tern::nn
