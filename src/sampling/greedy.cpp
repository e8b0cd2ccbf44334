#include "src/sampling/sampler_table.h"

namespace tern::sampling {
namespace {

void check(const SamplingOptions&) {}  // the temperature step checks the temperature

bool is_active(const SamplingOptions& options) { return options.temperature == 0.0f; }

void apply(const SamplingOptions&, const History&, Candidates& candidates) {
  candidates.sort_first(1);
  candidates.keep_first(1);
}

}  // namespace

extern const SamplerStep kGreedy;
const SamplerStep kGreedy{"greedy", check, is_active, apply};

}  // namespace tern::sampling
