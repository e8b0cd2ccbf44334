#include "src/nn/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "src/base/portable_math.h"

namespace tern::nn {
namespace {

/// YaRN's blend between stretched and plain frequencies, with its published constants.
/// Source    Peng et al. 2023, arXiv:2309.00071, section 3.2
struct YarnRamp {
  static constexpr double kBetaFast = 32.0;  // rotations over the original context above which nothing is stretched
  static constexpr double kBetaSlow = 1.0;   // and below which everything is
  double low;
  double high;

  explicit YarnRamp(const RopeParameters& p)
      : low(std::max(0.0, std::floor(pair_with(kBetaFast, p)))),
        high(std::min(static_cast<double>(p.n_dims) - 1.0, std::ceil(pair_with(kBetaSlow, p)))) {}

  /// Share of the plain frequency in the blend for a pair: 1 for the fastest, 0 for the slowest.
  [[nodiscard]] double plain_share(std::size_t pair) const {
    const double position = (static_cast<double>(pair) - low) / std::max(0.001, high - low);
    return 1.0 - std::clamp(position, 0.0, 1.0);
  }

 private:
  /// The (fractional) pair that turns `rotations` times over the original context.
  static double pair_with(double rotations, const RopeParameters& p) {
    const double context = static_cast<double>(p.original_context);
    return static_cast<double>(p.n_dims) * portable::log(context / (rotations * 2.0 * std::numbers::pi)) /
           (2.0 * portable::log(p.theta));
  }
};

}  // namespace

RopeTable::RopeTable(RopeParameters parameters) : parameters_(std::move(parameters)) {
  const RopeParameters& p = parameters_;
  const std::size_t n_pairs = p.n_dims / 2;
  frequencies_.resize(n_pairs);
  for (std::size_t i = 0; i < n_pairs; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(p.n_dims);
    frequencies_[i] = portable::pow(p.theta, exponent);
    if (!p.frequency_factors.empty()) frequencies_[i] /= static_cast<double>(p.frequency_factors[i]);
  }
  magnitude_ = p.attention_factor;
  if (p.scaling == RopeScaling::kLinear) {
    for (double& frequency : frequencies_) frequency /= p.factor;
  } else if (p.scaling == RopeScaling::kYarn) {
    const YarnRamp ramp(p);
    for (std::size_t i = 0; i < n_pairs; ++i) {
      const double plain = ramp.plain_share(i);
      frequencies_[i] = frequencies_[i] / p.factor * (1.0 - plain) + frequencies_[i] * plain;
    }
    magnitude_ *= 1.0 + 0.1 * portable::log(p.factor);
  }
}

void RopeTable::reserve(std::size_t n_positions) {
  if (n_positions <= n_positions_) return;
  cos_.resize(n_positions * n_pairs());
  sin_.resize(n_positions * n_pairs());
  for (std::size_t position = n_positions_; position < n_positions; ++position) {
    for (std::size_t i = 0; i < n_pairs(); ++i) {
      const double angle = static_cast<double>(position) * frequencies_[i];
      const auto [sin, cos] = portable::sin_cos(angle);
      cos_[position * n_pairs() + i] = static_cast<float>(cos * magnitude_);
      sin_[position * n_pairs() + i] = static_cast<float>(sin * magnitude_);
    }
  }
  n_positions_ = n_positions;
}

void rope(const kernels::FloatKernels& floats, const RopeTable& table, std::size_t position, std::size_t head_dim,
          std::span<float> x) {
  const RopeParameters& p = table.parameters();
  const auto rotate = p.pairing == RopePairing::kNeox ? floats.rope_neox : floats.rope_norm;
  for (std::size_t begin = 0; begin < x.size(); begin += head_dim) {
    rotate(x.data() + begin, table.cos(position), table.sin(position), p.n_dims);
  }
}

}  // namespace tern::nn
