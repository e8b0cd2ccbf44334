#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/peak.h"
#include "src/base/thread_pool.h"

/// What a machine allows at most, measured with nothing else to do.
namespace tern::engine {

/// Reads a word of every 64 bytes, a cache line, and does nothing else, as fast as memory gives them: in several runs
/// side by side, which is quicker than one run here and there. The result keeps the compiler from skipping it.
std::uint64_t read_all(ThreadPool& pool, std::span<const std::uint8_t> bytes);

/// Multiply-adds per second that the instruction of a phase alone allows on one thread.
[[nodiscard]] double peak_rate(const kernels::Peak& peak);
/// The same on all threads of a pool together.
[[nodiscard]] double peak_rate(const kernels::Peak& peak, ThreadPool& pool);

/// The instruction with most multiply-adds per second among those of the kernels that can run here, on one thread; null
/// where none is known.
[[nodiscard]] const kernels::Peak* best_peak();

}  // namespace tern::engine
