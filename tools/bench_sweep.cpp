// tern bench --sweep: which threads and kernels are best for a model on this machine.
#include <fmt/format.h>

#include <algorithm>

#include "tools/bench.h"
#include "tools/interrupt.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/remembered.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

// What a choice is judged by: a question and its answer.
constexpr std::size_t kPromptTokens = 256;
constexpr std::size_t kAnswerTokens = 128;
constexpr std::size_t kRepetitions = 4;
constexpr std::size_t kQuickRepetitions = 2;
// Tokens of an answer in one repetition: so many that a small model does not take less than a moment.
constexpr double kMeasuredBytes = 1e9;
constexpr double kLeastTokens = 8;
constexpr double kMostTokens = 64;

/// A phase of a kernel on some threads. The best repetition counts: what else runs on a machine only slows down, and
/// kernels are measured one after the other.
struct SweepRow {
  std::string phase;
  std::string kernel;
  unsigned threads = 0;
  Spread tokens_per_s;
};

/// Two kernels on some threads, and how long a question and its answer take.
struct Candidate {
  std::string kernel;  ///< as OpenOptions::kernel
  std::string decode;
  std::string prompt;
  unsigned threads = 0;
  double seconds = 0.0;
};

class Sweep {
 public:
  Sweep(const BenchOptions& options, const InterruptGuard& interrupt)
      : options_(options), interrupt_(interrupt), progress_("sweeping", false) {}

  /// False when it was interrupted: what was measured until then is there.
  bool measure() {
    const std::vector<std::string> kernels = wanted();
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      const double before = static_cast<double>(i) / static_cast<double>(kernels.size());
      if (!measure(kernels[i],
                   [&](double share) { progress_.update(before + share / static_cast<double>(kernels.size())); })) {
        return false;
      }
    }
    progress_.finish();
    return true;
  }

  [[nodiscard]] const std::vector<SweepRow>& rows() const noexcept { return rows_; }
  [[nodiscard]] const ModelSummary& model() const noexcept { return model_; }

  /// Quickest first; kernels of different layouts do not go together, and are left out.
  [[nodiscard]] std::vector<Candidate> candidates() const {
    std::vector<Candidate> list;
    for (const SweepRow& decode : rows_) {
      for (const SweepRow& prompt : rows_) {
        if (decode.phase != "decode" || prompt.phase != "prompt" || decode.threads != prompt.threads) continue;
        const double seconds = static_cast<double>(prompt_tokens_) / prompt.tokens_per_s.high +
                               static_cast<double>(kAnswerTokens) / decode.tokens_per_s.high;
        const std::string kernel = decode.kernel == prompt.kernel ? decode.kernel : decode.kernel + "+" + prompt.kernel;
        if (opens_with(kernel)) list.push_back({kernel, decode.kernel, prompt.kernel, decode.threads, seconds});
      }
    }
    std::ranges::sort(list, {}, &Candidate::seconds);
    return list;
  }
  /// The quickest row of a phase.
  [[nodiscard]] const SweepRow& best(std::string_view phase) const {
    const SweepRow* best = nullptr;
    for (const SweepRow& row : rows_) {
      if (row.phase != phase) continue;
      if (best == nullptr || row.tokens_per_s.high > best->tokens_per_s.high) best = &row;
    }
    return *best;
  }

 private:
  /// Kernels that can run here, but not the reference unless there is nothing else.
  [[nodiscard]] std::vector<std::string> wanted() const {
    std::vector<std::string> names;
    for (const KernelSummary& kernel : all_kernels()) {
      const bool named = kernel.name == options_.kernel || kernel.family == options_.kernel;
      const bool by_itself = options_.kernel.empty() && (kernel.family != "reference" || names.empty());
      if (kernel.missing.empty() && (named || by_itself) && opens_with(kernel.name)) names.push_back(kernel.name);
    }
    if (names.empty()) {
      throw Error(ErrorKind::kInvalidArgument,
                  fmt::format("--sweep: --kernel: no family or kernel '{}' runs here", one_line(options_.kernel)));
    }
    return names;
  }

  bool measure(const std::string& kernel, const std::function<void(double)>& on_share) {
    ModelOptions which = options_.model;
    which.open.kernel = kernel;
    const auto model = which.load(true);
    model_ = model->summary();
    prompt_tokens_ = std::min(kPromptTokens, std::max<std::size_t>(1, model_.context_length / 2));
    ModelBenchOptions bench;
    bench.prompt_tokens = {prompt_tokens_};
    const double wanted = kMeasuredBytes / static_cast<double>(std::max<std::uint64_t>(1, model_.bytes_read_per_token));
    bench.generated_tokens = std::min(static_cast<std::size_t>(std::clamp(wanted, kLeastTokens, kMostTokens)),
                                      std::max<std::size_t>(1, model_.context_length / 2));
    bench.threads = options_.threads.empty() ? doubling_threads(describe_machine().cores) : options_.threads;
    bench.repetitions = options_.quick ? kQuickRepetitions : kRepetitions;
    bench.kv_type = options_.kv_type();
    bench.on_progress = [&](double share) {
      on_share(share);
      return !interrupt_.requested();
    };
    const ModelBenchmark benchmark = bench_model(model, bench);
    for (const SpeedPoint& point : benchmark.points) add(point);
    return benchmark.complete;
  }

  /// A kernel that lacks a phase runs another one's, which then is measured again: the first time counts.
  void add(const SpeedPoint& point) {
    const std::string& kernel = point.phase == "decode" ? model_.decode_kernel : model_.prompt_kernel;
    const auto known = [&](const SweepRow& row) {
      return row.phase == point.phase && row.kernel == kernel && row.threads == point.threads;
    };
    if (std::ranges::any_of(rows_, known)) return;
    std::vector<double> speeds;
    for (const double seconds : point.seconds) speeds.push_back(static_cast<double>(point.total_tokens()) / seconds);
    rows_.push_back({point.phase, kernel, point.threads, spread_of(speeds)});
  }

  /// Two kernels need one layout, and a kernel-ready file has one already.
  [[nodiscard]] bool opens_with(const std::string& kernel) const {
    OpenOptions open = options_.model.open_options();
    open.kernel = kernel;
    try {
      static_cast<void>(inspect(options_.model.resolved_path(), open));
      return true;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInvalidArgument) throw;
      return false;
    }
  }

  const BenchOptions& options_;
  const InterruptGuard& interrupt_;
  Progress progress_;
  std::vector<SweepRow> rows_;
  ModelSummary model_;
  std::size_t prompt_tokens_ = 0;
};

std::string describe_rows(const std::vector<SweepRow>& rows) {
  std::string text = fmt::format("{:<8}{:<22}{:>8}{:>12}{:>9}\n", "phase", "kernel", "threads", "best tok/s", "spread");
  for (const SweepRow& row : rows) {
    text += fmt::format("{:<8}{:<22}{:>8}{:>12.1f}{:>9}\n", row.phase, row.kernel, row.threads, row.tokens_per_s.high,
                        fmt::format("+-{:.0f} %", 100.0 * row.tokens_per_s.relative()));
  }
  return text;
}

std::string describe(const SweepRow& row) {
  return fmt::format("{}: {}, {} thread{}, {:.1f} tok/s\n", row.phase, row.kernel, row.threads,
                     row.threads == 1 ? "" : "s", row.tokens_per_s.high);
}

Json to_json(const SweepRow& row) {
  return {{"phase", row.phase},
          {"kernel", row.kernel},
          {"threads", row.threads},
          {"tokens_per_s", row.tokens_per_s.high},
          {"first_quartile", row.tokens_per_s.first},
          {"third_quartile", row.tokens_per_s.third}};
}

Json to_json(const Sweep& sweep, const Candidate& best) {
  Json rows = Json::array();
  for (const SweepRow& row : sweep.rows()) rows.push_back(to_json(row));
  return {{"rows", rows},
          {"best_decode", to_json(sweep.best("decode"))},
          {"best_prompt", to_json(sweep.best("prompt"))},
          {"recommended", {{"kernel", best.kernel}, {"threads", best.threads}}}};
}

int forget(const BenchOptions& options) {
  const std::string file = remember_choice(inspect(options.model.resolved_path(), options.model.open_options()), {});
  print(fmt::format("nothing is remembered for this model now ({})\n", file));
  return kSuccess;
}

}  // namespace

int sweep(const BenchOptions& options) {
  if (options.forget) return forget(options);
  const InterruptGuard interrupt;
  Sweep sweep(options, interrupt);
  const bool complete = sweep.measure();
  const std::vector<Candidate> candidates = sweep.candidates();
  if (!complete || candidates.empty()) {
    if (!options.json && !sweep.rows().empty()) print(describe_rows(sweep.rows()));
    return InterruptGuard::status();
  }
  const Candidate& best = candidates.front();
  if (options.json) {
    print(to_line(to_json(sweep, best)));
  } else {
    print(describe_rows(sweep.rows()));
    print(fmt::format("\nbest for {}best for {}", describe(sweep.best("decode")), describe(sweep.best("prompt"))));
    print(
        fmt::format("recommended: --kernel {} --threads {}\n  the least time for {} tokens of prompt and {} of answer; "
                    "both phases of a run share threads and layout\n",
                    best.kernel, best.threads, kPromptTokens, kAnswerTokens));
  }
  if (!options.remember) return kSuccess;
  const std::string file = remember_choice(sweep.model(), RememberedChoice{best.kernel, best.threads});
  print_note(fmt::format("remembered in {}; --sweep --forget drops it", file));
  return kSuccess;
}

}  // namespace tern::tools
