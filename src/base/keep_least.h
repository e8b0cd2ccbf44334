#pragma once

#include <atomic>
#include <cstddef>

namespace tern {

/// least = min(least, value), by several threads at once.
inline void keep_least(std::atomic<std::size_t>& least, std::size_t value) {
  for (std::size_t known = least; value < known;) {
    if (least.compare_exchange_weak(known, value)) break;
  }
}

}  // namespace tern
