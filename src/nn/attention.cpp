#include "src/nn/attention.h"

#include <cstdint>

namespace tern::nn {
namespace {

/// One head of one token over the keys and values of its key-value head.
struct HeadInput {
  const float* q;           // (head_dim)
  const std::byte* keys;    // (n_positions, head_dim)
  const std::byte* values;  // (n_positions, head_dim)
  std::size_t n_positions;  // visible ones
  std::size_t head_dim;
  float scale;
};

void attend(const kernels::FloatKernels& floats, KvType type, const HeadInput& in, float* scores, float* out) {
  const bool f16 = type == KvType::kF16;
  if (f16) {
    floats.dot_rows_f16(reinterpret_cast<const std::uint16_t*>(in.keys), in.head_dim, in.n_positions, in.q, in.head_dim,
                        scores);
  } else {
    floats.dot_rows_f32(reinterpret_cast<const float*>(in.keys), in.head_dim, in.n_positions, in.q, in.head_dim,
                        scores);
  }
  floats.scale(in.scale, in.n_positions, scores);
  floats.softmax(scores, in.n_positions);
  if (f16) {
    floats.weighted_sum_f16(reinterpret_cast<const std::uint16_t*>(in.values), in.head_dim, in.n_positions, scores,
                            in.head_dim, out);
  } else {
    floats.weighted_sum_f32(reinterpret_cast<const float*>(in.values), in.head_dim, in.n_positions, scores, in.head_dim,
                            out);
  }
}

}  // namespace

void attention(const Compute& compute, const KvCache& cache, std::size_t layer, std::size_t first_position, float scale,
               MatrixView q, MatrixView out) {
  const std::size_t head_dim = cache.shape().head_dim;
  const std::size_t n_heads = q.cols / head_dim;
  const std::size_t n_kv_heads = cache.shape().n_kv_heads;
  const std::size_t longest = first_position + q.rows;
  float* scores = compute.work.scores.take(compute.pool.size() * longest);  // (n_threads, longest)

  // Token by token within a head, so that one thread walks over the same keys again.
  compute.pool.parallel_for(n_heads * q.rows, 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t head = i / q.rows;
      const std::size_t t = i % q.rows;
      const std::size_t kv_head = head * n_kv_heads / n_heads;
      const HeadInput in{.q = q.row(t) + head * head_dim,
                         .keys = cache.keys(layer, kv_head),
                         .values = cache.values(layer, kv_head),
                         .n_positions = first_position + t + 1,
                         .head_dim = head_dim,
                         .scale = scale};
      attend(compute.floats, cache.type(), in, scores + thread * longest, out.row(t) + head * head_dim);
    }
  });
}

}  // namespace tern::nn
