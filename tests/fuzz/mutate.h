#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

/// libFuzzer's own mutation of some bytes, which fuzzers of one format build theirs upon: returns the new size.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace tern::fuzz {

using Bytes = std::vector<std::uint8_t>;
using Rng = std::minstd_rand;

/// A number below `n`. Requires n > 0.
inline std::size_t pick(Rng& rng, std::size_t n) { return rng() % n; }

/// Numbers at which readers of sizes, counts and types go wrong: powers of two, those before and those behind them.
inline std::uint64_t edge(std::size_t i) { return (std::uint64_t{1} << (i % 64)) + i / 64 % 3 - 1; }
inline constexpr std::size_t kEdges = 3 * 64;

/// Puts what a mutator made of an input in its place; what does not fit is cut off. Returns the new size.
std::size_t put_back(const Bytes& mutated, std::uint8_t* data, std::size_t max_size);

/// Lets libFuzzer change bytes [begin, end).
void mutate_span(Bytes& bytes, std::size_t begin, std::size_t end);

}  // namespace tern::fuzz
