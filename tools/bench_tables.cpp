// What tern bench measured, as tables of text, CSV and Markdown.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/bench_report.h"

namespace tern::tools {
namespace {

std::string bytes_text(std::uint64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (value < 1e5) return fmt::format("{:.1f} kB", value / 1e3);
  return value < 1e8 ? fmt::format("{:.1f} MB", value / 1e6) : fmt::format("{:.2f} GB", value / 1e9);
}

std::string percent(double share) { return share > 0.0 ? fmt::format("{:.0f} %", 100.0 * share) : std::string("-"); }

/// "12.3 GB/s on 1 thread, 23.4 on 2".
std::string by_threads(const std::vector<MachineLimits>& list) {
  std::vector<std::string> parts;
  for (const MachineLimits& limits : list) {
    const Spread spread = spread_of(limits.read_bytes_per_s);
    if (spread.n == 0) continue;
    parts.push_back(fmt::format("{:.1f} GB/s on {} thread{}{}", spread.median / 1e9, limits.threads,
                                limits.threads == 1 ? "" : "s",
                                spread.n > 1 ? fmt::format(" (+-{:.0f} %)", 100.0 * spread.relative()) : ""));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string peaks_by_threads(const std::vector<MachineLimits>& list) {
  std::vector<std::string> parts;
  for (const MachineLimits& limits : list) {
    const Spread spread = spread_of(limits.int8_macs_per_s);
    if (spread.n == 0) continue;
    parts.push_back(
        fmt::format("{:.2f} on {} thread{}", spread.median / 1e12, limits.threads, limits.threads == 1 ? "" : "s"));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

/// The cells of a row; the columns are those of kColumns.
std::vector<std::string> cells_of(const SpeedPoint& point) {
  const Spread spread = spread_of(speeds_of(point));
  const double limit = limit_speed(point);
  const double joules = joules_per_token(point);
  const double n_tokens = static_cast<double>(point.total_tokens());
  return {fmt::format("{} {}", point.phase, point.tokens),
          fmt::format("{}", point.texts),
          fmt::format("{}", point.depth),
          fmt::format("{}", point.threads),
          fmt::format("{:.1f}", spread.median),
          spread.n > 1 ? fmt::format("+-{:.1f} %", 100.0 * spread.relative()) : "-",
          fmt::format("{:.1f}", static_cast<double>(point.bytes) / 1e6 / n_tokens),
          fmt::format("{:.1f}", static_cast<double>(point.bytes) / 1e9 / spread_of(point.seconds).median),
          limit > 0.0 ? fmt::format("{:.1f}", limit) : "-",
          point.limited_by.empty() ? "-" : point.limited_by,
          percent(limit > 0.0 ? spread.median / limit : 0.0),
          joules > 0.0 ? fmt::format("{:.2f}", joules) : "-"};
}

constexpr const char* kColumns[] = {"test",   "texts", "depth", "threads", "tok/s", "spread",
                                    "MB/tok", "GB/s",  "limit", "by",      "share", "J/tok"};
constexpr std::size_t kWidths[] = {12, 6, 6, 8, 9, 9, 8, 7, 9, 10, 7, 6};

}  // namespace

std::vector<ReportLine> describe(const BenchReport& report) {
  const MachineDescription& machine = report.machine;
  const BenchedModel& model = report.model;
  std::vector<ReportLine> lines;
  const auto add = [&](const char* name, std::string text) { lines.push_back({name, std::move(text)}); };
  add("machine", fmt::format("{}, {}, {} cores of {} processors, {} memory, last-level cache {}", machine.cpu,
                             machine.instruction_set, machine.cores, machine.processors,
                             bytes_text(machine.memory_bytes), bytes_text(machine.last_level_cache_bytes)));
  if (!report.memory.empty()) {
    add("memory", fmt::format("reads {}: {}", bytes_text(report.memory.front().read_bytes), by_threads(report.memory)));
  }
  if (const std::string peaks = peaks_by_threads(report.benchmark.limits); !peaks.empty()) {
    add("int8 peak",
        fmt::format("10^12 multiply-adds a second by {}: {}", report.benchmark.limits.front().int8_instruction, peaks));
  }
  add("energy", machine.energy);
  add("model", fmt::format("{}, {}, {:.2f}e9 parameters", model.name, model.architecture,
                           static_cast<double>(model.n_parameters) / 1e9));
  add("kernels", fmt::format("{} + {}, {}, head {} ({})", model.decode_kernel, model.prompt_kernel, model.float_kernel,
                             model.head_type, model.head_kernel));
  add("a token", fmt::format("reads {} of ternary weights, {} of the head, {} of norms, and {} of keys and values ({}) "
                             "for every token before it",
                             bytes_text(model.ternary_bytes), bytes_text(model.head_bytes),
                             bytes_text(model.float_bytes), bytes_text(model.kv_bytes_per_token), model.kv_type));
  if (const std::string reading = by_threads(report.benchmark.limits); !reading.empty()) {
    add("weights", fmt::format("read alone: {}", reading));
  }
  return lines;
}

std::string to_table(const BenchReport& report) {
  std::string text;
  for (const ReportLine& line : describe(report)) text += fmt::format("{:<11}{}\n", line.name, line.text);
  text += "\n";
  for (std::size_t i = 0; i < std::size(kColumns); ++i) {
    text += i == 0 ? fmt::format("{:<{}}", kColumns[i], kWidths[i]) : fmt::format("{:>{}}", kColumns[i], kWidths[i]);
  }
  text += "\n";
  for (const SpeedPoint& point : report.benchmark.points) {
    const std::vector<std::string> cells = cells_of(point);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      text += i == 0 ? fmt::format("{:<{}}", cells[i], kWidths[i]) : fmt::format("{:>{}}", cells[i], kWidths[i]);
    }
    text += "\n";
  }
  return text;
}

std::string to_markdown(const BenchReport& report) {
  std::string text;
  for (const ReportLine& line : describe(report)) text += fmt::format("- {}: {}\n", line.name, line.text);
  text += fmt::format("\n| {} |\n|---{}|\n", fmt::join(kColumns, " | "),
                      fmt::join(std::vector<std::string>(std::size(kColumns) - 1, "|--:"), ""));
  for (const SpeedPoint& point : report.benchmark.points) {
    text += fmt::format("| {} |\n", fmt::join(cells_of(point), " | "));
  }
  return text;
}

std::string to_csv(const BenchReport& report) {
  std::string text =
      "phase,tokens,texts,depth,threads,repetitions,tokens_per_s_median,tokens_per_s_first_quartile,"
      "tokens_per_s_third_quartile,bytes,macs,limit_tokens_per_s,limited_by,joules_per_token\n";
  const auto known = [](double value) { return value > 0.0 ? fmt::format("{:.6g}", value) : std::string(); };
  for (const SpeedPoint& point : report.benchmark.points) {
    const Spread spread = spread_of(speeds_of(point));
    text += fmt::format("{},{},{},{},{},{},{:.6g},{:.6g},{:.6g},{},{:.6g},{},{},{}\n", point.phase, point.tokens,
                        point.texts, point.depth, point.threads, spread.n, spread.median, spread.first, spread.third,
                        point.bytes, point.macs, known(limit_speed(point)), point.limited_by,
                        known(joules_per_token(point)));
  }
  return text;
}

}  // namespace tern::tools
