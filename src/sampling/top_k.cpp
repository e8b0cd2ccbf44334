#include <algorithm>

#include "src/sampling/sampler_table.h"

namespace tern::sampling {
namespace {

void check(const SamplingOptions&) {}  // every count is good: more than there are keeps all

bool is_active(const SamplingOptions& options) { return options.top_k != 0; }

void apply(const SamplingOptions& options, const History&, Candidates& candidates) {
  const std::size_t k = std::min(options.top_k, candidates.size());
  candidates.sort_first(k);
  candidates.keep_first(k);
}

}  // namespace

extern const SamplerStep kTopK;
const SamplerStep kTopK{"top-k", check, is_active, apply};

}  // namespace tern::sampling
