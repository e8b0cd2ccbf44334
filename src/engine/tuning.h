#pragma once

#include <cstddef>
#include <string_view>

#include "kernels/choice.h"

namespace tern::engine {

/// What the kernels are for.
struct KernelRequest {
  std::string_view kernel = "auto";  // as OpenOptions::kernel
  unsigned threads = 0;              // 0 = physical cores
  std::size_t scale_cols = 0;        // columns of the weights that share a scale; 0: all. Decides on what is quickest
  std::string_view layout = {};      // of weights that are packed already; empty: any
};

/// kernels::choose() for this machine, with measurements where there is something to choose: a second or two the first
/// time for every size of scale blocks, afterwards from memory or from a small file per processor, number of threads
/// and version of tern.
///
/// The file lies in $TERN_CACHE_DIR, or $XDG_CACHE_HOME/tern, or ~/.cache/tern; an empty TERN_CACHE_DIR means none.
/// Nobody misses it: it is made again, and without a place for it the measurements are repeated by every process.
///
/// Errors    as kernels::choose() and kernels::usable_isa()
/// Threads   safe
[[nodiscard]] kernels::Choice choose_kernels(const KernelRequest& request);

}  // namespace tern::engine
