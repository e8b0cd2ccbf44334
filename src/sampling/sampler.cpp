#include "tern/sampler.h"

#include "src/sampling/chain.h"

namespace tern {

Sampler::Sampler(const SamplingOptions& options) : chain_(std::make_unique<sampling::Chain>(options)) {}
Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

void Sampler::accept(Token token) { chain_->accept(token); }
Token Sampler::sample(std::span<const float> logits) { return chain_->sample(logits); }

}  // namespace tern
