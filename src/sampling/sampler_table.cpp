#include "src/sampling/sampler_table.h"

namespace tern::sampling {

extern const SamplerStep kLogitBias;
extern const SamplerStep kRepeatPenalty;
extern const SamplerStep kFrequencyPenalty;
extern const SamplerStep kPresencePenalty;
extern const SamplerStep kGreedy;
extern const SamplerStep kTemperature;
extern const SamplerStep kTopK;
extern const SamplerStep kTopP;
extern const SamplerStep kMinP;

namespace {

constexpr const SamplerStep* kSteps[] = {
    &kLogitBias,         //
    &kRepeatPenalty,     //
    &kFrequencyPenalty,  //
    &kPresencePenalty,   //
    &kGreedy,            //
    &kTemperature,       //
    &kTopK,              //
    &kTopP,              //
    &kMinP,              //
};

}  // namespace

std::span<const SamplerStep* const> all_sampler_steps() noexcept { return kSteps; }

}  // namespace tern::sampling
