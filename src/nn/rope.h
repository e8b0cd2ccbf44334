#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/kernels.h"

namespace tern::nn {

/// Which elements of a head are rotated together.
enum class RopePairing {
  kNeox,  ///< (i, i + n/2)
  kNorm,  ///< (2i, 2i + 1)
};

enum class RopeScaling { kNone, kLinear, kYarn };

/// Rotary position embedding, as the model's file describes it. Su et al. 2021, arXiv:2104.09864
struct RopeParameters {
  RopePairing pairing = RopePairing::kNeox;
  std::size_t n_dims = 0;  // rotated elements of a head, even; the rest is copied
  double theta = 10000.0;  // base of the frequencies
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;                        // of the scaling; positions are stretched by it
  double attention_factor = 1.0;              // multiplies cos and sin
  std::size_t original_context = 0;           // tokens; YaRN only
  std::vector<float> frequency_factors = {};  // (n_dims / 2) divisors, tensor rope_freqs (llama3 scaling); or empty
};

/// Rotations of all positions up to the last one used; computed as they are first needed, in double precision, and
/// rounded once: the same on every machine.
class RopeTable {
 public:
  explicit RopeTable(RopeParameters parameters);

  /// Makes sure that positions [0, n_positions) can be read.
  void reserve(std::size_t n_positions);
  /// (n_dims / 2) each. Requires position reserved.
  [[nodiscard]] const float* cos(std::size_t position) const noexcept { return cos_.data() + position * n_pairs(); }
  [[nodiscard]] const float* sin(std::size_t position) const noexcept { return sin_.data() + position * n_pairs(); }
  [[nodiscard]] const RopeParameters& parameters() const noexcept { return parameters_; }
  [[nodiscard]] std::size_t n_pairs() const noexcept { return frequencies_.size(); }

 private:
  RopeParameters parameters_;
  std::vector<double> frequencies_;  // (n_dims / 2) radians per position
  double magnitude_ = 1.0;           // of cos and sin
  std::size_t n_positions_ = 0;
  std::vector<float> cos_;  // (n_positions, n_dims / 2)
  std::vector<float> sin_;
};

/// Rotates every head of a token in place.  x: (n_heads * head_dim)
void rope(const kernels::FloatKernels& floats, const RopeTable& table, std::size_t position, std::size_t head_dim,
          std::span<float> x);

}  // namespace tern::nn
