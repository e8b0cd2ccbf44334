// tern bench: how fast this machine is. Declares the options of all parts; each part is a file of its own, see bench.h.
#include "tools/bench.h"

#include <CLI/CLI.hpp>

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

constexpr std::size_t kMostTokens = std::size_t{1} << 20;
constexpr unsigned kMostThreads = 1024;

void declare_parts(CLI::App& app, BenchOptions& o) {
  const auto add = [&](CLI::Option* option) { return option->group("What to measure (default: a model)"); };
  CLI::Option* const parts[] = {
      add(app.add_flag("--kernels", o.kernels, "Measure the ternary kernels")),
      add(app.add_flag("--sweep", o.sweep, "Find the best threads and kernels for a model")),
      add(app.add_option("--predict", o.predict, "Predict a model's speed and memory: a name, a config.json, or list")
              ->type_name("SHAPE")),
      add(app.add_option("--compare", o.compare, "Compare what two runs with --json printed")
              ->type_name("A.json B.json")
              ->expected(2))};
  for (CLI::Option* part : parts) {
    for (CLI::Option* other : parts) {
      if (part != other) part->excludes(other);
    }
  }
}

void declare_sizes(CLI::App& app, BenchOptions& o) {
  const auto list = [&](const char* names, auto& values, auto least, auto most, const char* help) {
    app.add_option(names, values, help)->delimiter(',')->check(CLI::Range(least, most))->type_name("LIST");
  };
  list("-p,--prompt", o.prompt, std::size_t{0}, kMostTokens, "Tokens of a prompt; 0 = none [512]");
  app.add_option("-n,--generate", o.generate, "Tokens to generate in one measurement; 0 = none [32]")
      ->check(CLI::Range(std::size_t{0}, kMostTokens))
      ->type_name("N");
  list("-b,--texts", o.texts, std::size_t{1}, std::size_t{4096}, "Texts that generate together [1]");
  list("-d,--depth", o.depths, std::size_t{0}, kMostTokens, "Tokens that a text holds before [0]");
  list("-t,--threads", o.threads, 0u, kMostThreads, "Threads; 0 = physical cores [1, 2, 4, ... cores]");
  list("--tokens", o.tokens, std::size_t{1}, std::size_t{1} << 16,
       "With --kernels: tokens multiplied together [1,4,16,128,512]");
  app.add_option("-c,--context", o.context, "With --predict: tokens that the KV cache holds [4096]")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 31))
      ->type_name("N");
}

void declare_measuring(CLI::App& app, BenchOptions& o) {
  app.add_option("--kernel", o.kernel,
                 "A family, a kernel, or DECODE+PROMPT [auto; with --kernels and --sweep: all that run here]")
      ->type_name("NAME");
  app.add_option("--kv", o.kv, "Number type of the KV cache")
      ->check(CLI::IsMember({"f16", "f32", "int8"}))
      ->capture_default_str();
  app.add_option("--head", o.model.head, "Weights of the output head: int8, or f16 for those in the file")
      ->check(CLI::IsMember({"int8", "f16"}))
      ->capture_default_str();
  app.add_option("--reps", o.repetitions, "Repetitions, each a round of all measurements")
      ->check(CLI::Range(std::size_t{1}, std::size_t{10'000}))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--warmup", o.warm_up, "Rounds before, which do not count")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1000}))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--seconds", o.seconds, "With --kernels and --predict: length of one measurement")
      ->check(CLI::Range(0.0, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  app.add_flag("--quick", o.quick, "Shorter texts, three repetitions, cores only: a first look");
}

void declare_output(CLI::App& app, BenchOptions& o) {
  CLI::Option* const formats[] = {app.add_flag("--json", o.json, "Print JSON, with all samples"),
                                  app.add_flag("--csv", o.csv, "Print comma-separated values"),
                                  app.add_flag("--markdown", o.markdown, "Print a Markdown table")};
  for (CLI::Option* format : formats) {
    for (CLI::Option* other : formats) {
      if (format != other) format->excludes(other);
    }
  }
  app.add_option("--html", o.html, "Write one page with charts, complete in itself")->type_name("FILE");
  app.add_flag("--remember", o.remember, "With --sweep: keep the choice for tern run with this model");
  app.add_flag("--forget", o.forget, "With --sweep: drop what was kept for this model, and measure nothing");
}

void refuse_what_does_not_go_together(const BenchOptions& o) {
  const auto refuse = [](const char* message) { throw Error(ErrorKind::kInvalidArgument, message); };
  const bool model = !o.kernels && !o.sweep && o.predict.empty() && o.compare.empty();
  if ((o.csv || o.markdown || !o.html.empty()) && !model) refuse("bench: --csv, --markdown and --html are for a model");
  if ((o.remember || o.forget) && !o.sweep) refuse("bench: --remember and --forget need --sweep");
  if (o.remember && o.forget) refuse("bench: --remember and --forget exclude each other");
  if (!o.tokens.empty() && !o.kernels) refuse("bench: --tokens needs --kernels");
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

Action declare_bench(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  app.footer(kExamples);
  options->model.declare_file(app);
  options->model.declare_cache(app);
  declare_parts(app, *options);
  declare_sizes(app, *options);
  declare_measuring(app, *options);
  declare_output(app, *options);
  return [options] { return run(*options); };
}

}  // namespace tern::tools
