#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/attention_tables.h"
#include "kernels/scalar_math.h"

// Attention in plain C++, one query after the other, as the contract words it. It shares no code with the vector
// tables, only constants.
namespace tern::kernels {
namespace {

/// scores[r] = queries[r] . key of position j * scale, by segments, each in the order of d.
template <typename Element>
void score(const AttentionTile& in, std::size_t j, float (&scores)[kAttentionRows]) {
  const auto* keys = reinterpret_cast<const Element*>(in.keys) + j / kLanes * in.head_dim * kLanes + j % kLanes;
  for (std::size_t r = 0; r < in.n_rows; ++r) {
    scores[r] = 0.0f;
    for (std::size_t begin = 0; begin < in.head_dim; begin += kAttentionSegment) {
      float sum = 0.0f;
      for (std::size_t d = begin; d < in.head_dim && d < begin + kAttentionSegment; ++d) {
        sum = std::fma(in.queries[r][d], to_float(keys[d * kLanes]), sum);
      }
      scores[r] = scores[r] + sum;
    }
  }
  for (float& score : scores) score = score * in.scale;
}

/// exp(x) for x <= 0, as the contract says; NaN gives NaN.
float weight_of(float x) {
  using C = ExpConstants;
  if (x < kAttentionFloor) return 0.0f;
  const float shifted = std::fma(x, C::kLog2E, kRoundShift);
  const float n = shifted - kRoundShift;
  const float r = std::fma(n, -C::kLn2Low, std::fma(n, -C::kLn2High, x));
  const float p = std::fma(std::fma(std::fma(std::fma(C::kP4, r, C::kP3), r, C::kP2), r, C::kP1), r, C::kP0);
  const float exp_r = 1.0f + std::fma(p, r * r, r);
  // ldexp of NaN would have an undefined exponent: n is one as well.
  return std::isnan(x) ? x : std::ldexp(exp_r, static_cast<int>(n));
}

/// Turns a row's scores into exponentials.
void exponentiate(const AttentionTile& in, std::size_t row) {
  float* weights = in.scratch + row * kAttentionChunk;
  float max = -HUGE_VALF;
  const std::size_t n_hidden = in.n_hidden == nullptr ? 0 : in.n_hidden[row];
  for (std::size_t j = n_hidden; j < in.n_visible[row]; ++j) {
    if (weights[j] > max) max = weights[j];
  }
  float lanes[kLanes] = {};
  for (std::size_t j = 0; j < in.n_visible[row]; ++j) {
    weights[j] = j < n_hidden ? 0.0f : weight_of(weights[j] - max);
    lanes[j % kLanes] += weights[j];
  }
  in.part.max[row] = max;
  in.part.sum[row] = sum_lanes(lanes);
}

/// values[d] of a row = sum over j of weight j * values[j][d], by segments, each in the order of j.
template <typename Element>
float mix(const AttentionTile& in, std::size_t row, std::size_t d) {
  const auto* values = reinterpret_cast<const Element*>(in.values) + d;
  float total = 0.0f;
  for (std::size_t begin = 0; begin < in.n_visible[row]; begin += kAttentionSegment) {
    float sum = 0.0f;
    for (std::size_t j = begin; j < in.n_visible[row] && j < begin + kAttentionSegment; ++j) {
      sum = std::fma(in.scratch[row * kAttentionChunk + j], to_float(values[j * value_dim(in.head_dim)]), sum);
    }
    total = total + sum;
  }
  return total;
}

template <typename Element>
void attend(const AttentionTile& in) {
  const std::size_t n_columns = value_dim(in.head_dim);
  for (std::size_t j = 0; j < in.n_visible[in.n_rows - 1]; ++j) {
    float scores[kAttentionRows];
    score<Element>(in, j, scores);
    for (std::size_t r = 0; r < in.n_rows; ++r) in.scratch[r * kAttentionChunk + j] = scores[r];
  }
  for (std::size_t r = 0; r < in.n_rows; ++r) {
    exponentiate(in, r);
    for (std::size_t d = 0; d < n_columns; ++d) in.part.values[r * n_columns + d] = mix<Element>(in, r, d);
  }
}

// --- keys and values of 8 bits ------------------------------------------------------------------------------------

/// Rounds n numbers to integers up to `limit`; returns the value of one step.
float round_all(const float* x, std::size_t n, std::int32_t limit, std::int16_t* integers) {
  float max = kAttentionQuantFloor;
  for (std::size_t i = 0; i < n; ++i) max = std::fmax(max, std::fabs(x[i]));  // not NaN
  max = std::fmin(max, kMaxFloat);
  const auto bound = static_cast<float>(limit);
  for (std::size_t i = 0; i < n; ++i) {
    const float scaled = std::isnan(x[i]) ? 0.0f : x[i] * (bound / max);
    integers[i] = static_cast<std::int16_t>(std::nearbyint(std::fmax(std::fmin(scaled, bound), -bound)));
  }
  return max / bound;
}

/// The scores of a row.
void score_i8(const AttentionTile& in, std::size_t row, std::int16_t* query) {
  const float factor = round_all(in.queries[row], in.head_dim, attention_max_query(in.head_dim), query) * in.scale;
  const auto* keys = reinterpret_cast<const std::int8_t*>(in.keys);
  for (std::size_t j = 0; j < in.n_visible[row]; ++j) {
    const std::int8_t* block = keys + j / kLanes * i8_key_dim(in.head_dim) * kLanes;
    std::int32_t sum = 0;
    for (std::size_t d = 0; d < in.head_dim; ++d) {
      sum += query[d] * block[(d / 2 * kLanes + j % kLanes) * 2 + d % 2];
    }
    in.scratch[row * kAttentionChunk + j] = static_cast<float>(sum) * factor * in.key_scales[j];
  }
}

/// The results of a row from its exponentials.
void mix_i8(const AttentionTile& in, std::size_t row, std::int16_t* integers) {
  const std::size_t n_columns = value_dim(in.head_dim);
  float* weights = in.scratch + row * kAttentionChunk;
  for (std::size_t j = 0; j < in.n_visible[row]; ++j) weights[j] = weights[j] * in.value_scales[j];
  const float step = round_all(weights, in.n_visible[row], kAttentionMaxWeight, integers);
  const auto* values = reinterpret_cast<const std::int8_t*>(in.values);
  for (std::size_t d = 0; d < n_columns; ++d) {
    std::int32_t sum = 0;
    for (std::size_t j = 0; j < in.n_visible[row]; ++j) {
      sum += integers[j] * values[(j / 2 * n_columns + d) * 2 + j % 2];
    }
    in.part.values[row * n_columns + d] = static_cast<float>(sum) * step;
  }
}

void attend_i8(const AttentionTile& in) {
  auto* integers = reinterpret_cast<std::int16_t*>(in.scratch + kAttentionRows * kAttentionChunk);
  for (std::size_t row = 0; row < in.n_rows; ++row) {
    score_i8(in, row, integers);
    exponentiate(in, row);
    mix_i8(in, row, integers);
  }
}

// --- chunks -------------------------------------------------------------------------------------------------------

void merge(const AttentionPart& from, std::size_t row, std::size_t head_dim, const AttentionPart& into) {
  const float max = from.max[row] > into.max[row] ? from.max[row] : into.max[row];
  const float from_share = weight_of(from.max[row] - max);
  const float into_share = weight_of(into.max[row] - max);
  into.max[row] = max;
  into.sum[row] = from.sum[row] * from_share + into.sum[row] * into_share;
  const std::size_t first = row * value_dim(head_dim);
  for (std::size_t i = first; i < first + value_dim(head_dim); ++i) {
    into.values[i] = from.values[i] * from_share + into.values[i] * into_share;
  }
}

void finish(const AttentionPart& part, std::size_t row, std::size_t head_dim, float* y) {
  for (std::size_t d = 0; d < head_dim; ++d) y[d] = part.values[row * value_dim(head_dim) + d] / part.sum[row];
}

}  // namespace

constinit const AttentionKernels kAttentionScalar = {
    .name = "attention-scalar",
    .isa = Isa::kScalar,
    .attend_f32 = attend<float>,
    .attend_f16 = attend<std::uint16_t>,
    .attend_i8 = attend_i8,
    .merge = merge,
    .finish = finish,
};

}  // namespace tern::kernels
