#include "tern/bench_model.h"

#include <algorithm>
#include <chrono>

#include "src/base/check.h"
#include "src/base/thread_pool.h"
#include "src/engine/energy.h"
#include "src/engine/limits.h"
#include "src/engine/loaded_model.h"
#include "tern/statistics.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;
using Bytes = std::span<const std::uint8_t>;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The weights that decoding reads, as runs of memory without gaps. What lies in the file is left out: norms, and a
/// head that is not int8.
std::vector<Bytes> weights_in_memory(const engine::LoadedModel& model) {
  std::vector<Bytes> runs;
  const auto add = [&](Bytes bytes) {
    if (!runs.empty() && runs.back().data() + runs.back().size() == bytes.data()) {
      runs.back() = {runs.back().data(), runs.back().size() + bytes.size()};
    } else if (!bytes.empty()) {
      runs.push_back(bytes);
    }
  };
  for (const nn::Linear& linear : model.weights.linears()) {
    if (linear.ternary) add(linear.ternary->weights);
    if (linear.int8) add({linear.int8->weights, linear.int8->rows * linear.int8->stride});
  }
  return runs;
}

/// Made-up tokens, the same for the same place.
std::vector<Token> some_tokens(std::size_t n, std::size_t vocab_size) {
  std::vector<Token> tokens(n);
  for (std::size_t i = 0; i < n; ++i) tokens[i] = static_cast<Token>((i * 7919 + 1) % vocab_size);
  return tokens;
}

/// Texts of one depth, on one number of threads. The first one computes.
class Texts {
 public:
  Texts(const std::shared_ptr<const Model>& model, const ModelBenchOptions& options, unsigned threads,
        std::size_t depth)
      : vocab_size_(model->summary().vocab_size), depth_(depth) {
    const std::size_t most_texts = std::max<std::size_t>(1, *std::ranges::max_element(options.texts));
    const std::size_t longest = std::ranges::max(
        options.prompt_tokens.empty() ? 0 : *std::ranges::max_element(options.prompt_tokens), options.generated_tokens);
    for (std::size_t i = 0; i < most_texts; ++i) {
      sessions_.emplace_back(model, SessionOptions{.context = depth + longest,
                                                   .kv_type = options.kv_type,
                                                   .threads = i == 0 ? threads : 1,
                                                   .batch = options.batch});
    }
  }

  [[nodiscard]] unsigned threads() const noexcept { return sessions_.front().threads(); }
  [[nodiscard]] std::size_t depth() const noexcept { return depth_; }

  /// Fills all texts up to their depth.
  void prepare() {
    if (depth_ == 0) return;
    const std::vector<Token> tokens = some_tokens(depth_, vocab_size_);
    for (Session& session : sessions_) session.evaluate(tokens);
  }

  double time_prompt(std::size_t n_tokens) {
    const std::vector<Token> tokens = some_tokens(n_tokens, vocab_size_);
    const auto start = Clock::now();
    sessions_.front().evaluate(tokens);
    const double seconds = seconds_since(start);
    sessions_.front().rewind(depth_);
    return seconds;
  }

  double time_decode(std::size_t n_texts, std::size_t n_tokens) {
    const std::vector<Token> tokens = some_tokens(n_texts * n_tokens, vocab_size_);
    std::vector<Session*> together;
    for (std::size_t i = 0; i < n_texts; ++i) together.push_back(&sessions_[i]);
    const auto start = Clock::now();
    for (std::size_t i = 0; i < n_tokens; ++i) {
      const std::span<const Token> step = std::span(tokens).subspan(i * n_texts, n_texts);
      if (n_texts == 1) {
        sessions_.front().evaluate(step);
      } else {
        evaluate_together(together, step);
      }
    }
    const double seconds = seconds_since(start);
    for (Session* session : together) session->rewind(depth_);
    return seconds;
  }

 private:
  std::size_t vocab_size_;
  std::size_t depth_;
  std::vector<Session> sessions_;
};

class ModelBench {
 public:
  ModelBench(const std::shared_ptr<const Model>& model, const ModelBenchOptions& options)
      : model_(model), summary_(model->summary()), options_(options), weights_(weights_in_memory(model->loaded())) {
    for (const unsigned threads : options_.threads) add_threads(threads);
    const std::size_t n_steps = cases_.size() + groups_.size() / options_.depths.size();
    n_measurements_ = n_steps * (options_.warm_up + options_.repetitions) + groups_.size();
  }

  ModelBenchmark run() {
    result_.complete = measure_all();
    std::erase_if(result_.points, [](const SpeedPoint& point) { return point.seconds.empty(); });
    for (SpeedPoint& point : result_.points) set_limit(point);
    return std::move(result_);
  }

 private:
  /// What a point of the result measures, and with what.
  struct Case {
    Texts* texts;
    std::size_t point;  // index in result_.points
  };

  void add_threads(unsigned threads) {
    for (const std::size_t depth : options_.depths) {
      Texts& texts = *groups_.emplace_back(std::make_unique<Texts>(model_, options_, threads, depth));
      const auto add = [&](std::string phase, std::size_t n_tokens, std::size_t n_texts) {
        cases_.push_back({&texts, result_.points.size()});
        SpeedPoint& point = result_.points.emplace_back();
        point.phase = std::move(phase);
        point.tokens = n_tokens;
        point.texts = n_texts;
        point.depth = depth;
        point.threads = texts.threads();
        set_work(point);
      };
      for (const std::size_t n : options_.prompt_tokens) add("prompt", n, 1);
      if (options_.generated_tokens == 0) continue;
      for (const std::size_t n : options_.texts) add("decode", options_.generated_tokens, n);
    }
    MachineLimits& limits = result_.limits.emplace_back();
    pools_.push_back(std::make_unique<ThreadPool>(threads));
    limits.threads = pools_.back()->size();
    for (const Bytes run : weights_) limits.read_bytes += run.size();
    if (const kernels::Peak* peak = engine::best_peak()) limits.int8_instruction = peak->instruction;
  }

  /// Bytes and multiply-adds of one repetition.
  void set_work(SpeedPoint& point) const {
    const auto kv_bytes = [&](std::size_t n) { return kv_bytes_read(summary_, options_.kv_type, n); };
    const double ternary = static_cast<double>(summary_.n_ternary_weights);
    const double head = static_cast<double>(summary_.vocab_size) * static_cast<double>(summary_.dim);
    if (point.phase == "decode") {
      for (std::size_t i = 0; i < point.tokens; ++i) {
        point.bytes += summary_.bytes_read_per_token + point.texts * kv_bytes(point.depth + i + 1);
      }
      point.macs = static_cast<double>(point.total_tokens()) * (ternary + head);
      return;
    }
    const std::size_t batch = std::clamp<std::size_t>(options_.batch, 1, point.tokens);
    for (std::size_t done = 0; done < point.tokens;) {
      done += std::min(batch, point.tokens - done);
      point.bytes += summary_.ternary_bytes + summary_.float_bytes + kv_bytes(point.depth + done);
    }
    point.bytes += summary_.head_bytes;
    point.macs = static_cast<double>(point.tokens) * ternary + head;
  }

  /// False when on_progress said so.
  bool measure_all() {
    for (const auto& texts : groups_) {
      texts->prepare();
      if (!go_on()) return false;
    }
    for (std::size_t round = 0; round < options_.warm_up + options_.repetitions; ++round) {
      const bool counts = round >= options_.warm_up;
      for (std::size_t i = 0; i < pools_.size(); ++i) {
        measure_limits_of(result_.limits[i], *pools_[i], counts);
        if (!go_on()) return false;
      }
      for (const Case& item : cases_) {
        measure(item, counts);
        if (!go_on()) return false;
      }
    }
    return true;
  }

  void measure_limits_of(MachineLimits& limits, ThreadPool& pool, bool counts) {
    constexpr double kLeastSeconds = 10e-3;  // a small model is read several times: threads do not start at once
    if (limits.read_bytes == 0) return;
    const auto start = Clock::now();
    double n_passes = 0.0;
    double seconds = 0.0;
    for (; seconds < kLeastSeconds; seconds = seconds_since(start), n_passes += 1.0) {
      for (const Bytes run : weights_) static_cast<void>(engine::read_all(pool, run));
    }
    if (!counts) return;
    limits.read_bytes_per_s.push_back(static_cast<double>(limits.read_bytes) * n_passes / seconds);
    const kernels::Peak* peak = engine::best_peak();
    if (peak != nullptr) limits.int8_macs_per_s.push_back(engine::peak_rate(*peak, pool));
  }

  void measure(const Case& item, bool counts) {
    SpeedPoint& point = result_.points[item.point];
    static_cast<void>(energy_.take());
    const double seconds = point.phase == "decode" ? item.texts->time_decode(point.texts, point.tokens)
                                                   : item.texts->time_prompt(point.tokens);
    const std::optional<double> joules = energy_.take();
    if (!counts) return;
    point.seconds.push_back(std::max(seconds, 1e-9));
    if (joules) point.joules.push_back(*joules);
  }

  void set_limit(SpeedPoint& point) const {
    const auto limits = std::ranges::find(result_.limits, point.threads, &MachineLimits::threads);
    const double read = spread_of(limits->read_bytes_per_s).median;
    const double peak = spread_of(limits->int8_macs_per_s).median;
    const double memory_seconds = read > 0.0 ? static_cast<double>(point.bytes) / read : 0.0;
    const double peak_seconds = peak > 0.0 ? point.macs / peak : 0.0;
    point.limit_seconds = std::max(memory_seconds, peak_seconds);
    if (point.limit_seconds > 0.0) point.limited_by = memory_seconds >= peak_seconds ? "memory" : "int8 peak";
  }

  bool go_on() {
    n_done_ += 1;
    return !options_.on_progress ||
           options_.on_progress(std::min(1.0, static_cast<double>(n_done_) / static_cast<double>(n_measurements_)));
  }

  const std::shared_ptr<const Model>& model_;
  const ModelSummary& summary_;
  const ModelBenchOptions& options_;
  std::vector<Bytes> weights_;
  std::vector<std::unique_ptr<Texts>> groups_;      // addresses stay
  std::vector<std::unique_ptr<ThreadPool>> pools_;  // one for each of result_.limits
  std::vector<Case> cases_;
  ModelBenchmark result_;
  engine::EnergyMeter energy_;
  std::size_t n_measurements_ = 0;
  std::size_t n_done_ = 0;
};

void check_options(const ModelSummary& model, const ModelBenchOptions& options) {
  const auto refuse_zero = [](const std::vector<std::size_t>& values, const char* what) {
    if (std::ranges::count(values, std::size_t{0}) > 0) {
      fail(ErrorKind::kInvalidArgument, "{} to measure: expected at least 1, found 0", what);
    }
  };
  refuse_zero(options.prompt_tokens, "tokens of a prompt");
  refuse_zero(options.texts, "texts together");
  const bool has_decode = options.generated_tokens > 0 && !options.texts.empty();
  if (options.depths.empty() || options.threads.empty() || options.repetitions == 0 ||
      (options.prompt_tokens.empty() && !has_decode)) {
    fail(ErrorKind::kInvalidArgument, "nothing to measure");
  }
  std::size_t longest = has_decode ? options.generated_tokens : 0;
  for (const std::size_t n : options.prompt_tokens) longest = std::max(longest, n);
  const std::size_t deepest = *std::ranges::max_element(options.depths);
  if (deepest > model.context_length || longest > model.context_length - deepest) {
    fail(ErrorKind::kInvalidArgument, "{} tokens after {} to measure: the model was trained for {} together", longest,
         deepest, model.context_length);
  }
}

}  // namespace

std::uint64_t kv_bytes_read(const ModelSummary& model, KvType type, std::size_t n_positions) {
  const std::uint64_t rows = std::uint64_t{2} * n_positions * model.n_layers * model.n_kv_heads;  // keys and values
  switch (type) {
    case KvType::kF32:
      return rows * model.head_dim * 4;
    case KvType::kF16:
      return rows * model.head_dim * 2;
    case KvType::kInt8:
      return rows * (model.head_dim + sizeof(float));
  }
  return 0;
}

ModelBenchmark bench_model(const std::shared_ptr<const Model>& model, const ModelBenchOptions& options) {
  check_options(model->summary(), options);
  ModelBenchOptions complete = options;
  if (complete.texts.empty()) {
    complete.texts = {1};
    complete.generated_tokens = 0;
  }
  return or_out_of_memory("the texts to measure", [&] { return ModelBench(model, complete).run(); });
}

}  // namespace tern
