// tern bench --compare: tells a difference between two runs from noise.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/bench.h"
#include "tools/bench_report.h"
#include "tools/input.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr double kLevel = 0.05;            // chance of a false alarm among all figures of a comparison
constexpr double kLeastDifference = 0.01;  // what is smaller matters to nobody
constexpr double kMachineDrift = 0.05;     // of reading memory alone, from which on it is worth a remark

/// One figure in both reports.
struct Pair {
  const SpeedPoint* first;
  const SpeedPoint* second;
  Comparison comparison;  // of tokens per second, its p-value adjusted
  std::string verdict;
};

bool same_figure(const SpeedPoint& a, const SpeedPoint& b) {
  return a.phase == b.phase && a.tokens == b.tokens && a.texts == b.texts && a.depth == b.depth &&
         a.threads == b.threads;
}

/// The smallest p-value that sets of these sizes can have: one order of all in each direction.
double least_p_value(std::size_t n, std::size_t m) {
  double orders = 1.0;  // C(n + m, n)
  for (std::size_t i = 1; i <= std::min(n, m); ++i) {
    orders *= static_cast<double>(std::max(n, m) + i) / static_cast<double>(i);
  }
  return std::min(1.0, 2.0 / orders);
}

std::string verdict_of(const Pair& pair, std::size_t n_pairs) {
  const Comparison& c = pair.comparison;
  const double least = least_p_value(pair.first->seconds.size(), pair.second->seconds.size());
  if (least * static_cast<double>(n_pairs) > kLevel) return "too few repetitions";
  const bool one_inside = c.ratio_low <= 1.0 && c.ratio_high >= 1.0;
  if (c.p_value > kLevel || one_inside || std::abs(c.ratio - 1.0) < kLeastDifference) return "no difference";
  return c.ratio > 1.0 ? "faster" : "slower";
}

std::vector<Pair> pair_up(const BenchReport& first, const BenchReport& second) {
  std::vector<Pair> pairs;
  std::vector<double> p_values;
  for (const SpeedPoint& a : first.benchmark.points) {
    const auto b =
        std::ranges::find_if(second.benchmark.points, [&](const auto& other) { return same_figure(a, other); });
    if (b == second.benchmark.points.end() || a.seconds.empty() || b->seconds.empty()) continue;
    pairs.push_back({&a, &*b, compare_samples(speeds_of(a), speeds_of(*b)), {}});
    p_values.push_back(pairs.back().comparison.p_value);
  }
  const std::vector<double> adjusted = adjust_p_values(p_values);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].comparison.p_value = adjusted[i];
    pairs[i].verdict = verdict_of(pairs[i], pairs.size());
  }
  return pairs;
}

/// What else differs between the two, one line each.
std::vector<std::string> remarks(const BenchReport& a, const BenchReport& b) {
  std::vector<std::string> lines;
  const auto differs = [&](const char* what, const std::string& first, const std::string& second) {
    if (first != second) lines.push_back(fmt::format("{}: {} | {}", what, one_line(first), one_line(second)));
  };
  differs("tern", a.version, b.version);
  differs("processor", a.machine.cpu, b.machine.cpu);
  differs("model", a.model.name, b.model.name);
  differs("decode kernel", a.model.decode_kernel, b.model.decode_kernel);
  differs("prompt kernel", a.model.prompt_kernel, b.model.prompt_kernel);
  for (const MachineLimits& before : a.benchmark.limits) {
    const auto after = std::ranges::find(b.benchmark.limits, before.threads, &MachineLimits::threads);
    if (after == b.benchmark.limits.end() || before.read_bytes_per_s.empty() || after->read_bytes_per_s.empty())
      continue;
    const double ratio = spread_of(after->read_bytes_per_s).median / spread_of(before.read_bytes_per_s).median;
    if (std::abs(ratio - 1.0) < kMachineDrift) continue;
    lines.push_back(fmt::format("the machine itself: reading the weights alone on {} thread{} was {:.2f} times as fast",
                                before.threads, before.threads == 1 ? "" : "s", ratio));
  }
  return lines;
}

std::string describe(const std::vector<Pair>& pairs, const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += fmt::format("differs  {}\n", line);
  text += fmt::format("{:<30} {:>7} {:>9} {:>9} {:>6} {:>15} {:>7}  {}\n", "test", "threads", "A tok/s", "B tok/s",
                      "B/A", "95 %", "p", "B is");
  for (const Pair& pair : pairs) {
    const Comparison& c = pair.comparison;
    text += fmt::format("{:<30} {:>7} {:>9.1f} {:>9.1f} {:>6.3f} {:>15} {:>7.2g}  {}\n",
                        one_line(title_of(*pair.first)), pair.first->threads, spread_of(speeds_of(*pair.first)).median,
                        spread_of(speeds_of(*pair.second)).median, c.ratio,
                        fmt::format("{:.3f} to {:.3f}", c.ratio_low, c.ratio_high), c.p_value, pair.verdict);
  }
  return text;
}

Json to_json(const std::vector<Pair>& pairs, const std::vector<std::string>& lines) {
  Json list = Json::array();
  for (const Pair& pair : pairs) {
    list.push_back({{"phase", pair.first->phase},
                    {"tokens", pair.first->tokens},
                    {"texts", pair.first->texts},
                    {"depth", pair.first->depth},
                    {"threads", pair.first->threads},
                    {"first_tokens_per_s", spread_of(speeds_of(*pair.first)).median},
                    {"second_tokens_per_s", spread_of(speeds_of(*pair.second)).median},
                    {"ratio", pair.comparison.ratio},
                    {"ratio_low", pair.comparison.ratio_low},
                    {"ratio_high", pair.comparison.ratio_high},
                    {"p_value", pair.comparison.p_value},
                    {"verdict", pair.verdict}});
  }
  return {{"differences", lines}, {"figures", list}};
}

}  // namespace

int compare_reports(const BenchOptions& options) {
  const BenchReport first = parse_report(read_file(options.compare[0]), options.compare[0]);
  const BenchReport second = parse_report(read_file(options.compare[1]), options.compare[1]);
  const std::vector<Pair> pairs = pair_up(first, second);
  if (pairs.empty()) throw Error(ErrorKind::kInvalidArgument, "bench --compare: the two have no figure in common");
  const std::vector<std::string> lines = remarks(first, second);
  print(options.json ? to_line(to_json(pairs, lines)) : describe(pairs, lines));
  return kSuccess;
}

}  // namespace tern::tools
