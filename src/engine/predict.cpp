#include "tern/predict.h"

#include <algorithm>
#include <chrono>

#include "src/base/check.h"
#include "src/engine/limits.h"
#include "src/engine/random_decoder.h"
#include "src/engine/tuning.h"
#include "tern/bench_model.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = SessionOptions{}.batch;
constexpr std::size_t kLeastRepetitions = 3;
constexpr std::uint64_t kLeastSample = 256'000'000;   // bytes of layers, and of the head, to measure
constexpr std::uint64_t kMostSample = 1'000'000'000;  // bytes
constexpr std::uint64_t kCaches = 4;                  // a sample is so many times the last-level cache
constexpr std::size_t kHeadRows = 64;                 // rows measured are a multiple of it

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// --- arithmetic -------------------------------------------------------------------------------------------------

struct Bounds {
  const char* what;
  std::size_t value;
  std::size_t most;
};

/// As an architecture checks a file, architectures::read_config().
void check_shape(const ModelShape& s) {
  constexpr std::size_t kMostWidth = std::size_t{1} << 17;
  const Bounds bounds[] = {{"layers", s.n_layers, 1024},
                           {"dimensions", s.dim, kernels::kHeadMaxCols},
                           {"dimensions of feed-forward layers", s.ffn_dim, kMostWidth},
                           {"heads", s.n_heads, 1024},
                           {"key-value heads", s.n_kv_heads, s.n_heads},
                           {"dimensions of a head", s.head_dim, 1024},
                           {"tokens in the vocabulary", s.vocab_size, std::size_t{1} << 24},
                           {"tokens of context", s.context_length, std::size_t{1} << 31}};
  for (const Bounds& b : bounds) {
    if (b.value == 0 || b.value > b.most) {
      fail(ErrorKind::kInvalidArgument, "{}: expected 1 to {} {}, found {}", s.name, b.most, b.what, b.value);
    }
  }
  const std::size_t widths[] = {s.dim, s.ffn_dim, s.n_heads * s.head_dim};
  for (const std::size_t cols : widths) {
    if (s.scale_cols != 0 && cols % s.scale_cols != 0) {
      fail(ErrorKind::kInvalidArgument,
           "{}: expected layers of a multiple of {} columns, which share a scale, found {}", s.name, s.scale_cols,
           cols);
    }
  }
  if (s.n_heads % s.n_kv_heads != 0 || s.head_dim % 2 != 0 || s.n_heads * s.head_dim > kMostWidth) {
    fail(ErrorKind::kInvalidArgument,
         "{}: expected heads in equal groups, of an even size, {} wide together at most; found {} heads of {}, {} for "
         "keys and values",
         s.name, kMostWidth, s.n_heads, s.head_dim, s.n_kv_heads);
  }
}

/// (rows, cols) of the ternary matrices of a layer.
std::vector<std::pair<std::size_t, std::size_t>> matrices_of_layer(const ModelShape& s) {
  const std::size_t q_dim = s.n_heads * s.head_dim;
  const std::size_t kv_dim = s.n_kv_heads * s.head_dim;
  return {{q_dim, s.dim},     {kv_dim, s.dim},    {kv_dim, s.dim},   {s.dim, q_dim},
          {s.ffn_dim, s.dim}, {s.ffn_dim, s.dim}, {s.dim, s.ffn_dim}};
}

std::uint64_t norm_floats_of_layer(const ModelShape& s) {
  std::uint64_t n = 2 * s.dim;
  const architectures::LayerForm form = architectures::layer_form(s.architecture);
  if (form.sub_norms) n += s.n_heads * s.head_dim + s.ffn_dim;
  if (form.head_norms) n += 2 * s.head_dim;
  if (form.post_norms) n += 2 * s.dim;
  if (s.head == HeadKind::kNone) {  // a norm before every projection
    for (const auto& [rows, cols] : matrices_of_layer(s)) n += cols;
  }
  return n;
}

/// With its scales: in blocks they are f16, as every type has them.
std::uint64_t ternary_bytes(const kernels::TernaryLayout& layout, const engine::LayerShape& shape) {
  const std::size_t n_scales = shape.scale_cols == 0 ? 0 : shape.rows * (shape.cols / shape.scale_cols);
  return engine::packed_bytes(layout, shape) + n_scales * sizeof(std::uint16_t);
}

std::uint64_t head_bytes(const ModelShape& s, std::size_t rows, const kernels::TernaryLayout& layout) {
  return s.ternary_head ? ternary_bytes(layout, {rows, s.dim, s.scale_cols}) : nn::head_bytes(rows, s.dim);
}

Prediction memory_of(const ModelShape& s, const PredictOptions& options, const kernels::TernaryLayout& layout) {
  Prediction p;
  for (const auto& [rows, cols] : matrices_of_layer(s)) {
    p.ternary_bytes += s.n_layers * ternary_bytes(layout, {rows, cols, s.scale_cols});
    p.n_parameters += std::uint64_t{s.n_layers} * rows * cols;
  }
  const std::uint64_t n_norms = s.n_layers * norm_floats_of_layer(s) + s.dim;
  const std::uint64_t n_embedding = std::uint64_t{s.vocab_size} * s.dim;
  p.n_parameters += n_norms + n_embedding * (s.head == HeadKind::kOwn ? 2 : 1);
  p.float_bytes = n_norms * sizeof(float);
  p.embedding_bytes = s.ternary_head ? n_embedding / 4 : n_embedding * 2;
  if (s.head != HeadKind::kNone) p.head_bytes = head_bytes(s, s.vocab_size, layout);
  ModelSummary summary;
  summary.n_layers = s.n_layers;
  summary.n_kv_heads = s.n_kv_heads;
  summary.head_dim = s.head_dim;
  p.kv_bytes_per_token = kv_bytes_read(summary, options.kv_type, 1);
  p.context = std::min(options.context == 0 ? s.context_length : options.context, s.context_length);
  p.kv_bytes = p.context * p.kv_bytes_per_token;
  p.bytes_read_per_token = p.ternary_bytes + p.head_bytes + p.float_bytes;
  p.resident_bytes = p.bytes_read_per_token + p.kv_bytes;
  return p;
}

// --- measuring --------------------------------------------------------------------------------------------------

engine::DecoderSample sample_of(const ModelShape& s, const Prediction& p) {
  const MachineDescription machine = describe_machine();
  const std::uint64_t most = std::clamp(kCaches * machine.last_level_cache_bytes, kLeastSample, kMostSample);
  const std::uint64_t layer_bytes = p.ternary_bytes / s.n_layers;
  engine::DecoderSample sample{};
  sample.n_layers = std::clamp<std::size_t>((most + layer_bytes - 1) / layer_bytes, 1, s.n_layers);
  if (s.head != HeadKind::kNone) {
    const std::size_t rows = most / (p.head_bytes / s.vocab_size) / kHeadRows * kHeadRows;
    sample.head_rows = std::min(std::max(rows, kHeadRows), s.vocab_size);
  }
  const std::uint64_t needed = sample.n_layers * layer_bytes + sample.head_rows * (p.head_bytes / s.vocab_size);
  if (needed > machine.available_bytes && machine.available_bytes > 0) {
    fail(ErrorKind::kInvalidArgument, "{}: not enough memory to measure its layers: {} MB needed, {} MB available",
         s.name, needed / 1'000'000, machine.available_bytes / 1'000'000);
  }
  return sample;
}

/// Runs a sample of a model, and counts its time up to that of the whole.
class SampleTimer {
 public:
  SampleTimer(const ModelShape& shape, const PredictOptions& options, const engine::DecoderSample& sample,
              const kernels::Choice& kernels)
      : kernels_(kernels),
        pool_(options.threads),
        decoder_(shape, sample, kernels),
        layer_factor_(static_cast<double>(shape.n_layers) / static_cast<double>(sample.n_layers)),
        head_factor_(sample.head_rows == 0
                         ? 0.0
                         : static_cast<double>(shape.vocab_size) / static_cast<double>(sample.head_rows)),
        n_positions_(std::max(options.depth + 1, options.prompt_tokens)),
        kv_({sample.n_layers, shape.n_kv_heads, n_positions_, shape.head_dim}, options.kv_type),
        rope_(decoder_.config().rope),
        activations_(decoder_.config(), std::clamp<std::size_t>(options.prompt_tokens, 1, kBatch)) {
    rope_.reserve(n_positions_);
    kv_.reserve(0, n_positions_);
    fill_cache(sample.n_layers, shape.n_kv_heads * shape.head_dim);
  }

  [[nodiscard]] unsigned threads() const noexcept { return pool_.size(); }

  /// Seconds of a whole model for tokens at positions [first, first + n), with logits after the last one.
  double run(std::size_t first, std::size_t n_tokens) {
    double seconds = 0.0;
    for (std::size_t done = 0; done < n_tokens;) {
      const std::size_t n = std::min(kBatch, n_tokens - done);
      std::vector<nn::TokenPlace> places;
      for (std::size_t i = 0; i < n; ++i) places.push_back({&kv_, first + done + i});
      const std::vector<Token> tokens(n, 0);
      architectures::Pass pass{compute(), tokens, places, rope_, rope_, activations_.views(n)};
      for (std::size_t t = 0; t < n; ++t) {
        for (std::size_t i = 0; i < pass.act.x.cols; ++i) pass.act.x.row(t)[i] = static_cast<float>(i * 37 % 255) - 127;
      }
      auto start = Clock::now();
      decoder_.forward(pass);
      seconds += seconds_since(start) * layer_factor_;
      done += n;
      if (done < n_tokens) continue;
      start = Clock::now();
      decoder_.multiply_head(compute(), {pass.act.x.row(n - 1), 1, pass.act.x.cols});
      seconds += seconds_since(start) * head_factor_;
    }
    return seconds;
  }

  /// Bytes per second of reading the same weights and nothing else.
  double read() {
    const auto start = Clock::now();
    static_cast<void>(engine::read_all(pool_, decoder_.layer_weights()));
    static_cast<void>(engine::read_all(pool_, decoder_.head_weights()));
    const std::size_t bytes = decoder_.layer_weights().size() + decoder_.head_weights().size();
    return static_cast<double>(bytes) / seconds_since(start);
  }

 private:
  [[nodiscard]] nn::Compute compute() { return {pool_, kernels_, *kernels_.floats, work_}; }

  /// Gives every position keys and values: attention to pages that nobody wrote would be too quick.
  void fill_cache(std::size_t n_layers, std::size_t kv_dim) {
    std::vector<float> row(kv_dim);
    for (std::size_t i = 0; i < kv_dim; ++i) row[i] = static_cast<float>(i % 7) - 3.0f;
    for (std::size_t layer = 0; layer < n_layers; ++layer) {
      for (std::size_t p = 0; p < n_positions_; ++p) kv_.store(*kernels_.floats, layer, p, row.data(), row.data());
    }
  }

  const kernels::Choice& kernels_;
  ThreadPool pool_;
  nn::Workspace work_;
  engine::RandomDecoder decoder_;
  double layer_factor_;
  double head_factor_;
  std::size_t n_positions_;
  nn::KvCache kv_;
  nn::RopeTable rope_;
  architectures::Activations activations_;
};

/// Calls measure() again and again, at least kLeastRepetitions times after one to warm up.
template <typename Measure>
void repeat(const PredictOptions& options, const Measure& measure) {
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < kLeastRepetitions + 1 || seconds_since(begin) < options.seconds; ++i) {
    if (options.keep_going && !options.keep_going()) return;
    measure(i > 0);
  }
}

}  // namespace

Prediction predict(const ModelShape& shape, const PredictOptions& options) {
  check_shape(shape);
  if (options.prompt_tokens > shape.context_length || options.depth >= shape.context_length) {
    fail(ErrorKind::kInvalidArgument, "{}: a prompt of {} tokens and a depth of {}: the model was trained for {}",
         shape.name, options.prompt_tokens, options.depth, shape.context_length);
  }
  return or_out_of_memory("layers of this model", [&] {
    const kernels::Choice kernels =
        engine::choose_kernels({.kernel = options.kernel, .threads = options.threads, .scale_cols = shape.scale_cols});
    Prediction p = memory_of(shape, options, kernels.layout());
    const engine::DecoderSample sample = sample_of(shape, p);
    p.layers_measured = sample.n_layers;
    p.head_rows_measured = sample.head_rows;
    p.decode_kernel = kernels.step_for(1).kernel->name;
    p.prompt_kernel = kernels.step_for(std::min(options.prompt_tokens, kBatch)).kernel->name;
    SampleTimer timer(shape, options, sample, kernels);
    p.threads = timer.threads();
    repeat(options, [&](bool counts) {
      const double seconds = timer.run(options.depth, 1);
      const double read = timer.read();
      if (!counts) return;
      p.decode_seconds.push_back(seconds);
      p.read_bytes_per_s.push_back(read);
    });
    if (options.prompt_tokens == 0) return p;
    repeat(options, [&](bool counts) {
      const double seconds = timer.run(0, options.prompt_tokens);
      if (counts) p.prompt_seconds.push_back(seconds);
    });
    return p;
  });
}

}  // namespace tern
