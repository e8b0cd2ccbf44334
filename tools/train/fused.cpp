// The memory-bound steps of one training pass, each reading its input once and writing its output once.
// Plain C entry points on bfloat16 rows (N tokens, K channels); fused.py wraps them as autograd functions.
// All arithmetic is float32; only what is stored is rounded to bfloat16.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using bf16 = std::uint16_t;
constexpr long kMaxWidth = 8192;  // widest row of any step (the vocabulary)

inline float to_float(bf16 h) {
  const std::uint32_t bits = std::uint32_t(h) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

inline bf16 to_bf16(float f) {  // round to nearest even; no NaNs expected
  std::uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bf16((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

void load(const bf16* from, float* to, long n) {
  for (long i = 0; i < n; i++) to[i] = to_float(from[i]);
}

float inverse_rms(const float* x, long n, float eps) {
  float sum = 0;
  for (long i = 0; i < n; i++) sum += x[i] * x[i];
  return 1.0f / std::sqrt(sum / n + eps);
}

// int8 absmax fake quantization of one token: out = round(x * 127 / peak) * peak / 127.
void quantize_row(const float* x, bf16* out, long n) {
  float peak = 1e-5f;
  for (long i = 0; i < n; i++) peak = std::max(peak, std::fabs(x[i]));
  const float scale = 127.0f / peak, step = peak / 127.0f;
  for (long i = 0; i < n; i++) out[i] = to_bf16(std::nearbyint(x[i] * scale) * step);
}

// x becomes x * r * gain, out the same quantized.
void norm_quantize_row(float* x, const float* gain, bf16* out, long n, float eps) {
  const float r = inverse_rms(x, n, eps);
  for (long i = 0; i < n; i++) x[i] *= r * gain[i];
  quantize_row(x, out, n);
}

// grad holds d/d(normed) on entry and d/dx on return; the quantizer is straight-through.
void norm_backward_row(const float* x, const float* gain, float* grad, float* grad_gain, long n, float eps) {
  const float r = inverse_rms(x, n, eps);
  float dot = 0;
  for (long i = 0; i < n; i++) {
    grad_gain[i] += grad[i] * x[i] * r;
    grad[i] *= gain[i];
    dot += grad[i] * x[i];
  }
  const float pull = dot * r * r / n;
  for (long i = 0; i < n; i++) grad[i] = r * (grad[i] - x[i] * pull);
}

inline float sigmoid(float z) { return 1.0f / (1.0f + std::exp(-z)); }

void add_to(float* total, const std::vector<float>& part) {
#pragma omp critical
  for (std::size_t i = 0; i < part.size(); i++) total[i] += part[i];
}

}  // namespace

extern "C" {

void norm_quantize(const bf16* x, const float* gain, bf16* out, long rows, long n, float eps) {
#pragma omp parallel for schedule(dynamic, 64)
  for (long r = 0; r < rows; r++) {
    float row[kMaxWidth];
    load(x + r * n, row, n);
    norm_quantize_row(row, gain, out + r * n, n, eps);
  }
}

void norm_quantize_backward(const bf16* x, const float* gain, const bf16* grad_out, bf16* grad_x, float* grad_gain,
                            long rows, long n, float eps) {
#pragma omp parallel
  {
    std::vector<float> gain_part(n, 0.0f);
#pragma omp for schedule(dynamic, 64)
    for (long r = 0; r < rows; r++) {
      float row[kMaxWidth], grad[kMaxWidth];
      load(x + r * n, row, n);
      load(grad_out + r * n, grad, n);
      norm_backward_row(row, gain, grad, gain_part.data(), n, eps);
      for (long i = 0; i < n; i++) grad_x[r * n + i] = to_bf16(grad[i]);
    }
    add_to(grad_gain, gain_part);
  }
}

// gate_up (rows, 2n): gate then up. hidden = silu(gate) * up; out = quantize(norm(hidden)).
void swiglu_norm_quantize(const bf16* gate_up, const float* gain, bf16* out, long rows, long n, float eps) {
#pragma omp parallel for schedule(dynamic, 64)
  for (long r = 0; r < rows; r++) {
    float gate[kMaxWidth], up[kMaxWidth];
    load(gate_up + r * 2 * n, gate, n);
    load(gate_up + r * 2 * n + n, up, n);
    for (long i = 0; i < n; i++) up[i] *= gate[i] * sigmoid(gate[i]);
    norm_quantize_row(up, gain, out + r * n, n, eps);
  }
}

void swiglu_norm_quantize_backward(const bf16* gate_up, const float* gain, const bf16* grad_out, bf16* grad_gate_up,
                                   float* grad_gain, long rows, long n, float eps) {
#pragma omp parallel
  {
    std::vector<float> gain_part(n, 0.0f);
#pragma omp for schedule(dynamic, 64)
    for (long r = 0; r < rows; r++) {
      float gate[kMaxWidth], up[kMaxWidth], sig[kMaxWidth], hidden[kMaxWidth], grad[kMaxWidth];
      load(gate_up + r * 2 * n, gate, n);
      load(gate_up + r * 2 * n + n, up, n);
      load(grad_out + r * n, grad, n);
      for (long i = 0; i < n; i++) sig[i] = sigmoid(gate[i]);
      for (long i = 0; i < n; i++) hidden[i] = gate[i] * sig[i] * up[i];
      norm_backward_row(hidden, gain, grad, gain_part.data(), n, eps);
      bf16* const grad_gate = grad_gate_up + r * 2 * n;
      bf16* const grad_up = grad_gate + n;
      for (long i = 0; i < n; i++) {
        grad_gate[i] = to_bf16(grad[i] * up[i] * sig[i] * (1.0f + gate[i] * (1.0f - sig[i])));
        grad_up[i] = to_bf16(grad[i] * gate[i] * sig[i]);
      }
    }
    add_to(grad_gain, gain_part);
  }
}

// qkv (batch * time, 3 * heads * dim) -> heads (3, batch, heads, time, dim); q and k rotated (NEOX pairs).
// angles: cos then sin, (2, time, dim / 2). inverse = 1 maps gradients of heads back to qkv.
void rope_heads(bf16* qkv, bf16* heads, const float* angles, long batch, long time, long n_heads, long dim,
                long inverse) {
  const long half = dim / 2, width = n_heads * dim;
#pragma omp parallel for schedule(dynamic, 64)
  for (long r = 0; r < batch * time; r++) {
    const long b = r / time, t = r % time;
    const float* cosine = angles + t * half;
    const float* sine = angles + (time + t) * half;
    for (long part = 0; part < 3; part++) {
      for (long h = 0; h < n_heads; h++) {
        bf16* flat = qkv + r * 3 * width + part * width + h * dim;
        bf16* head = heads + (((part * batch + b) * n_heads + h) * time + t) * dim;
        const bf16* from = inverse ? head : flat;
        bf16* to = inverse ? flat : head;
        if (part == 2) {
          std::memcpy(to, from, dim * sizeof(bf16));
          continue;
        }
        const float turn = inverse ? -1.0f : 1.0f;
        for (long i = 0; i < half; i++) {
          const float u = to_float(from[i]), v = to_float(from[i + half]);
          to[i] = to_bf16(u * cosine[i] - v * sine[i] * turn);
          to[i + half] = to_bf16(u * sine[i] * turn + v * cosine[i]);
        }
      }
    }
  }
}

// scores (rows = batch * heads * time, time) in place: softmax over columns <= the row's position, zero beyond.
void causal_softmax(bf16* scores, long rows, long time, float scale) {
#pragma omp parallel for schedule(dynamic, 64)
  for (long r = 0; r < rows; r++) {
    float row[kMaxWidth];
    bf16* s = scores + r * time;
    const long seen = r % time + 1;
    load(s, row, seen);
    float peak = row[0], sum = 0;
    for (long i = 0; i < seen; i++) peak = std::max(peak, row[i]);
    for (long i = 0; i < seen; i++) row[i] = std::exp((row[i] - peak) * scale);
    for (long i = 0; i < seen; i++) sum += row[i];
    const float norm = 1.0f / sum;
    for (long i = 0; i < seen; i++) s[i] = to_bf16(row[i] * norm);
    std::memset(s + seen, 0, (time - seen) * sizeof(bf16));
  }
}

// grad (in place): d/d(probabilities) -> d/d(scores).
void causal_softmax_backward(const bf16* probabilities, bf16* grad, long rows, long time, float scale) {
#pragma omp parallel for schedule(dynamic, 64)
  for (long r = 0; r < rows; r++) {
    const bf16* p = probabilities + r * time;
    bf16* g = grad + r * time;
    const long seen = r % time + 1;
    float dot = 0;
    for (long i = 0; i < seen; i++) dot += to_float(p[i]) * to_float(g[i]);
    for (long i = 0; i < seen; i++) g[i] = to_bf16(to_float(p[i]) * (to_float(g[i]) - dot) * scale);
    std::memset(g + seen, 0, (time - seen) * sizeof(bf16));
  }
}

// logits (rows, n) in place -> d(mean loss)/d(logits); losses (rows,) in nats.
void cross_entropy(bf16* logits, const std::int64_t* targets, float* losses, long rows, long n) {
#pragma omp parallel for schedule(dynamic, 16)
  for (long r = 0; r < rows; r++) {
    float row[kMaxWidth];
    bf16* z = logits + r * n;
    load(z, row, n);
    float peak = row[0], sum = 0;
    for (long i = 0; i < n; i++) peak = std::max(peak, row[i]);
    const float right = row[targets[r]] - peak;
    for (long i = 0; i < n; i++) row[i] = std::exp(row[i] - peak);
    for (long i = 0; i < n; i++) sum += row[i];
    losses[r] = std::log(sum) - right;
    const float scale = 1.0f / (sum * rows);
    for (long i = 0; i < n; i++) z[i] = to_bf16(row[i] * scale);
    z[targets[r]] = to_bf16(row[targets[r]] * scale - 1.0f / rows);
  }
}

// weight (n,) -> quantized = clamp(round(w / step), -1, 1) * step with step = mean|w|, itself rounded to bfloat16
// (which float16 holds exactly, so the exported block scales are these numbers). Returns the step.
float quantize_weight(const float* weight, bf16* quantized, long n) {
  double sum = 0;
#pragma omp parallel for reduction(+ : sum)
  for (long i = 0; i < n; i++) sum += std::fabs(weight[i]);
  const float step = to_float(to_bf16(std::max(float(sum / n), 1e-5f)));
  const float scale = 1.0f / step;
#pragma omp parallel for
  for (long i = 0; i < n; i++) {
    quantized[i] = to_bf16(std::min(1.0f, std::max(-1.0f, std::nearbyint(weight[i] * scale))) * step);
  }
  return step;
}

// One AdamW step; clip multiplies the gradient, bias1/bias2 are 1 - beta^t.
void adamw(float* weight, const float* grad, float* first, float* second, long n, float rate, float decay, float beta1,
           float beta2, float bias1, float bias2, float clip) {
#pragma omp parallel for
  for (long i = 0; i < n; i++) {
    const float g = grad[i] * clip;
    first[i] = beta1 * first[i] + (1 - beta1) * g;
    second[i] = beta2 * second[i] + (1 - beta2) * g * g;
    const float update = (first[i] / bias1) / (std::sqrt(second[i] / bias2) + 1e-8f);
    weight[i] -= rate * (update + decay * weight[i]);
  }
}

}  // extern "C"
