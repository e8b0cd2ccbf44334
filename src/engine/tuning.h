#pragma once

#include <string_view>

#include "kernels/choice.h"

namespace tern::engine {

/// kernels::choose() for this machine, with measurements where there is something to choose: less than half a second
/// the first time, afterwards from memory or from a small file per processor, number of threads and version of tern.
///
/// The file lies in $TERN_CACHE_DIR, or $XDG_CACHE_HOME/tern, or ~/.cache/tern; an empty TERN_CACHE_DIR means none.
/// Nobody misses it: it is made again, and without a place for it the measurements are repeated by every process.
///
/// Errors    as kernels::choose() and kernels::usable_isa()
/// Threads   safe
[[nodiscard]] kernels::Choice choose_kernels(std::string_view request, unsigned n_threads,
                                             std::string_view layout = {});

}  // namespace tern::engine
