// tern bench: how fast this machine is. Declares the options of all parts; each part is a file of its own, see bench.h.
#include "tools/bench.h"

#include <fmt/ranges.h>

#include <iterator>

#include "tools/command.h"

namespace tern::tools {
namespace {

constexpr const char* kExamples = R"(Examples:
  tern bench                                    # the bundled model
  tern bench -m model.gguf --html report.html   # with charts
  tern bench -m model.gguf -p 128,1024 -n 64 --texts 1,4 --depth 0,2048 -t 1,2,4
  tern bench --sweep -m model.gguf --remember   # which threads and kernels; then for `tern run`
  tern bench --predict Llama3-8B-1.58           # before it is downloaded; or a config.json, or: list
  tern bench --json > a.json                    # ... change something ...
  tern bench --json > b.json; tern bench --compare a.json b.json
  tern bench --kernels --kernel addsub --tokens 1,512
  tern bench --kernels --scale-cols 128         # blocks of weights with scales of their own

Every figure is a median over repetitions; "spread" is half of the distance
between the quartiles. "limit" is what memory or the processor allow at most:
the bytes that have to be read at the speed of only reading them, measured in
turns with the figures, or the multiply-adds at the int8 peak, whichever takes
longer. "share" is how much of the limit was reached.

--kernels: every kernel that can run here multiplies the ternary layers of a
model (without -m: the shape of BitNet b1.58 2B-4T) with one token or more.
  Gw/s    10^9 weights read per second
  GMAC/s  10^9 weights times tokens per second
  stream  share of the speed of only reading the same bytes, measured in turns
  peak    share of what the kernel's chief instruction alone would allow
)";

constexpr std::size_t kMostScaleCols = std::size_t{1} << 15;
constexpr std::size_t kMostTokens = std::size_t{1} << 20;

/// What is measured: one bit each.
enum BenchPart : unsigned { kModel = 1, kKernels = 2, kSweep = 4, kPredict = 8, kCompare = 16 };
constexpr const char* kPartNames[] = {"the measurement of a model", "--kernels", "--sweep", "--predict", "--compare"};
constexpr unsigned kOpensModel = kModel | kSweep;
constexpr unsigned kMeasures = kModel | kKernels | kSweep | kPredict;

BenchPart part_of(const BenchOptions& o) {
  if (o.kernels) return kKernels;
  if (o.sweep) return kSweep;
  if (!o.predict.empty()) return kPredict;
  return o.compare.empty() ? kModel : kCompare;
}

std::string names_of(unsigned parts) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::size(kPartNames); ++i) {
    if ((parts >> i & 1U) != 0) names.emplace_back(kPartNames[i]);
  }
  return fmt::format("{}", fmt::join(names, " or "));
}

/// Remembers which parts an option is for.
Option limit(BenchOptions& o, const char* name, unsigned parts, Option option) {
  o.limited.push_back({name, option, parts});
  return option;
}

void declare_parts(Command& cli, BenchOptions& o) {
  const std::vector<Option> parts = {
      cli.flag("--kernels", o.kernels, "Measure the ternary kernels"),
      cli.flag("--sweep", o.sweep, "Find the best threads and kernels for a model"),
      cli.option("--predict", o.predict, "Predict a model's speed and memory: a name, a config.json, or list")
          .value_name("SHAPE"),
      cli.option("--compare", o.compare, "Compare what two runs with --json printed")
          .value_name("A.json B.json")
          .n_values(2)};
  for (const Option part : parts) part.group("What to measure (default: a model)");
  exclude_each_other(parts);
}

void declare_sizes(Command& cli, BenchOptions& o) {
  const auto list = [&](const char* names, auto& values, std::size_t least, std::size_t most, const char* help) {
    return cli.option(names, values, help).comma_separated().range(least, most).value_name("LIST");
  };
  limit(o, "-p", kModel | kPredict,
        list("-p,--prompt", o.prompt, 0, kMostTokens, "Tokens of a prompt; 0 = none [512]"));
  limit(o, "-n", kModel,
        cli.option("-n,--generate", o.generate, "Tokens to generate in one measurement; 0 = none [32]")
            .range(0, kMostTokens)
            .value_name("N"));
  limit(o, "--texts", kModel, list("-b,--texts", o.texts, 1, 4096, "Texts that generate together [1]"));
  limit(o, "--depth", kModel | kPredict,
        list("-d,--depth", o.depths, 0, kMostTokens, "Tokens that a text holds before [0]"));
  limit(o, "-t", kMeasures,
        list("-t,--threads", o.threads, 0, kMaxThreads, "Threads; 0 = physical cores [1, 2, 4, ... cores]"));
  limit(o, "--tokens", kKernels,
        list("--tokens", o.tokens, 1, 1 << 16, "With --kernels: tokens multiplied together [1,4,16,128,512]"));
  limit(o, "--scale-cols", kKernels | kPredict,
        cli.option("--scale-cols", o.scale_cols,
                   "With --kernels and --predict: weights in a row that share a scale; 0 = all")
            .range(0, kMostScaleCols)
            .value_name("N"));
  limit(o, "-c", kPredict,
        cli.option("-c,--context", o.context, "With --predict: tokens that the KV cache holds [4096]")
            .range(1, kMaxContext)
            .value_name("N"));
}

void declare_measuring(Command& cli, BenchOptions& o) {
  limit(o, "--kernel", kMeasures,
        cli.option("--kernel", o.kernel,
                   "A family, a kernel, or DECODE+PROMPT [auto; with --kernels and --sweep: all that run here]")
            .value_name("NAME"));
  limit(o, "--kv", kModel | kSweep | kPredict,
        cli.option("--kv", o.kv, "Number type of the KV cache").one_of({"f16", "f32", "int8"}).show_default());
  limit(o, "--head", kOpensModel,
        cli.option("--head", o.model.head, "Weights of the output head: int8, or f16 for those in the file")
            .one_of({"int8", "f16"})
            .show_default());
  limit(o, "--reps", kModel,
        cli.option("--reps", o.repetitions, "Repetitions, each a round of all measurements")
            .range(1, 10'000)
            .value_name("N")
            .show_default());
  limit(o, "--warmup", kModel,
        cli.option("--warmup", o.warm_up, "Rounds before, which do not count")
            .range(0, 1000)
            .value_name("N")
            .show_default());
  limit(o, "--seconds", kKernels | kPredict,
        cli.option("--seconds", o.seconds, "With --kernels and --predict: length of one measurement")
            .range(0.0, 3600.0)
            .value_name("S")
            .show_default());
  limit(o, "--quick", kMeasures,
        cli.flag("--quick", o.quick, "Shorter texts, three repetitions, cores only: a first look"));
}

void declare_output(Command& cli, BenchOptions& o) {
  const Option csv = cli.flag("--csv", o.csv, "Print comma-separated values");
  const Option markdown = cli.flag("--markdown", o.markdown, "Print a Markdown table");
  exclude_each_other({cli.flag("--json", o.json, "Print JSON, with all samples"), csv, markdown});
  limit(o, "--csv", kModel, csv);
  limit(o, "--markdown", kModel, markdown);
  limit(o, "--html", kModel,
        cli.option("--html", o.html, "Write one page with charts, complete in itself").value_name("FILE"));
  const Option remember =
      cli.flag("--remember", o.remember, "With --sweep: keep the choice for tern run with this model");
  const Option forget =
      cli.flag("--forget", o.forget, "With --sweep: drop what was kept for this model, and measure nothing");
  limit(o, "--remember", kSweep, remember);
  limit(o, "--forget", kSweep, forget).excludes(remember);
}

void refuse_what_does_not_go_together(const BenchOptions& o) {
  const BenchPart part = part_of(o);
  for (const BenchOptions::Limited& limited : o.limited) {
    if (!limited.option.is_given() || (limited.parts & part) != 0) continue;
    throw Error(ErrorKind::kInvalidArgument, fmt::format("bench: {} goes with {}, not with {}", limited.name,
                                                         names_of(limited.parts), names_of(part)));
  }
}

int run(const BenchOptions& options) {
  refuse_what_does_not_go_together(options);
  if (options.kernels) return bench_all_kernels(options);
  if (options.sweep) return sweep(options);
  if (!options.predict.empty()) return predict_a_model(options);
  if (!options.compare.empty()) return compare_reports(options);
  return bench_a_model(options);
}

}  // namespace

unsigned BenchOptions::one_thread_count() const {
  if (threads.size() > 1) throw Error(ErrorKind::kInvalidArgument, "bench: -t: expected one number of threads here");
  return threads.empty() ? 0 : threads.front();
}

std::vector<unsigned> doubling_threads(unsigned most) {
  std::vector<unsigned> list;
  for (unsigned n = 1; n < most; n *= 2) list.push_back(n);
  list.push_back(most);
  return list;
}

Action declare_bench(Command& cli) {
  const auto options = std::make_shared<BenchOptions>();
  cli.footer(kExamples);
  limit(*options, "-m", kMeasures & ~kPredict, options->model.declare_file(cli));
  options->model.declare_cache(cli);
  declare_parts(cli, *options);
  declare_sizes(cli, *options);
  declare_measuring(cli, *options);
  declare_output(cli, *options);
  return [options] { return run(*options); };
}

}  // namespace tern::tools
