// What tern bench measured, as one page with charts.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tools/bench_report.h"
#include "tools/svg_chart.h"

namespace tern::tools {
namespace {

constexpr std::size_t kMostSeries = 4;  // of a chart, so that it can be read
constexpr std::size_t kMostBars = 24;
constexpr std::size_t kMostDepths = 5;
constexpr double kMostLimit = 4.0;  // times the highest speed: a limit above would press all else to the ground

constexpr const char* kHead = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tern bench</title>
<style>
:root { color-scheme: light dark; --back: #fbfaf7; --card: #ffffff; --ink: #23272e; --soft: #667080; --rule: #e3e1da;
  --c0: #1f6f8b; --c1: #d9822b; --c2: #6a8d3a; --c3: #a3476b; --c4: #7b6fb0; --c5: #8a7355; }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --card: #1c2027; --ink: #e4e7ec; --soft: #98a2b3;
  --rule: #2e343e; --c0: #58b4d1; --c1: #f0a75a; --c2: #9cc46a; --c3: #db85a8; --c4: #afa4e3; --c5: #c9b08c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 3rem; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 0 0 .2rem; }
p { margin: .2rem 0 .6rem; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.facts div, figure { background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; }
.facts div { padding: .7rem .9rem; }
.facts b { display: block; font-size: 1.5rem; line-height: 1.2; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: 1rem; min-width: 0; }
dl { margin: .4rem 0 0; font-size: .9rem; } dt { font-weight: 600; } dd { margin: 0 0 .5rem; color: var(--soft); }
svg { display: block; width: 100%; height: auto; margin: .6rem 0; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); paint-order: stroke; stroke: var(--card);
  stroke-width: 4px; stroke-linejoin: round; }
.axis { stroke: var(--soft); } .grid { stroke: var(--rule); }
.line, .limit { fill: none; stroke: currentColor; stroke-width: 2; }
.limit { stroke-dasharray: 6 4; }
.whisker { stroke: currentColor; stroke-width: 6; stroke-opacity: .3; }
.dot, .fill { fill: currentColor; }
svg line.limit { stroke: var(--ink); }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); }
.legend { font-size: .85rem; margin: 0 0 .5rem; } .legend span { margin-right: 1rem; white-space: nowrap; }
.legend i { display: inline-block; width: 1rem; margin-right: .35rem; vertical-align: middle; }
.legend .block { height: .7rem; background: currentColor; border-radius: .15rem; }
.legend .dash { border-top: 2px dashed currentColor; }
.scroll { overflow-x: auto; margin: 1.2rem 0; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
</style>
</head>
<body>
)";

std::string figure(const std::string& heading, const std::string& chart, const std::string& caption) {
  return fmt::format("<figure><h2>{}</h2>\n{}<figcaption>{}</figcaption></figure>\n", escape(heading), chart,
                     escape(caption));
}

/// Speeds of a phase over threads, and their limits: a pair of series for what differs in nothing but threads.
struct SpeedSeries {
  std::vector<ChartSeries> measured;
  std::vector<ChartSeries> limits;
};

SpeedSeries collect_speeds(const BenchReport& report, const std::string& phase) {
  SpeedSeries all;
  for (const SpeedPoint& point : report.benchmark.points) {
    if (point.phase != phase) continue;
    const std::string name = title_of(point);
    auto found = std::ranges::find(all.measured, name, &ChartSeries::name);
    if (found == all.measured.end()) {
      if (all.measured.size() == kMostSeries) continue;
      const int colour = static_cast<int>(all.measured.size());
      all.measured.push_back({.name = name, .colour = colour, .limit = false, .points = {}});
      all.limits.push_back({.name = name, .colour = colour, .limit = true, .points = {}});
      found = all.measured.end() - 1;
    }
    const Spread spread = spread_of(speeds_of(point));
    const double threads = point.threads;
    found->points.push_back({threads, spread.median, spread.first, spread.third});
    const auto index = static_cast<std::size_t>(found - all.measured.begin());
    if (limit_speed(point) > 0.0) all.limits[index].points.push_back({threads, limit_speed(point), 0.0, 0.0});
  }
  return all;
}

/// The highest point of all series.
double highest(const std::vector<ChartSeries>& list) {
  double value = 0.0;
  for (const ChartSeries& series : list) {
    for (const ChartPoint& point : series.points) value = std::max(value, point.y);
  }
  return value;
}

/// Speed over threads of one phase, with those limits that leave something to be seen.
std::string threads_chart(const BenchReport& report, const std::string& phase) {
  const SpeedSeries speeds = collect_speeds(report, phase);
  if (speeds.measured.empty()) return {};
  std::vector<ChartSeries> drawn = speeds.measured;
  std::vector<ChartSeries> legend = speeds.measured;
  for (const ChartSeries& limit : speeds.limits) {
    if (!limit.points.empty() && highest({limit}) <= kMostLimit * highest(speeds.measured)) drawn.push_back(limit);
  }
  const std::size_t n_limits = drawn.size() - speeds.measured.size();
  if (n_limits > 0) legend.push_back({.name = "limit, in the same colour", .colour = 0, .limit = true, .points = {}});
  const std::string chart =
      draw({.title = phase + " speed by threads", .x_unit = "threads", .y_unit = "tokens/s", .series = drawn});
  return figure(phase == "prompt" ? "Reading a prompt" : "Generating", chart + draw_legend(legend),
                fmt::format("Median of tokens per second, all texts together; the pale bar spans the quartiles.{}",
                            n_limits < speeds.limits.size() ? " A limit far above is not drawn: see the shares." : ""));
}

std::string shares_chart(const BenchReport& report) {
  std::vector<ShareBar> bars;
  for (const SpeedPoint& point : report.benchmark.points) {
    const double limit = limit_speed(point);
    if (limit <= 0.0 || bars.size() == kMostBars) continue;
    const double speed = spread_of(speeds_of(point)).median;
    bars.push_back(
        {.name = fmt::format("{}, {} thread{}", title_of(point), point.threads, point.threads == 1 ? "" : "s"),
         .value = fmt::format("{:.0f} % ({})", 100.0 * speed / limit, point.limited_by),
         .colour = point.phase == "prompt" ? 1 : 0,
         .share = speed / limit});
  }
  if (bars.empty()) return {};
  return figure("Share of the limit", draw_shares("share of the limit reached", bars),
                "The limit is what takes longer: reading the bytes at the speed of reading alone (memory), or the "
                "multiply-adds at the int8 peak. Both were measured in turns with the figures.");
}

std::string bytes_chart(const BenchReport& report) {
  const BenchedModel& model = report.model;
  std::vector<std::size_t> depths = {0};
  for (const SpeedPoint& point : report.benchmark.points) depths.push_back(point.depth + point.tokens);
  std::ranges::sort(depths);
  depths.erase(std::unique(depths.begin(), depths.end()), depths.end());
  if (depths.size() > kMostDepths) {
    depths.erase(depths.begin() + kMostDepths - 1, depths.end() - 1);  // the deepest one stays
  }
  std::vector<StackedBar> bars;
  for (const std::size_t depth : depths) {
    bars.push_back(
        {fmt::format("after {} tokens", depth),
         {static_cast<double>(model.ternary_bytes) / 1e6, static_cast<double>(model.head_bytes) / 1e6,
          static_cast<double>(model.kv_bytes_per_token * depth) / 1e6, static_cast<double>(model.float_bytes) / 1e6}});
  }
  const std::vector<ChartSeries> parts = {{"ternary weights", 0, false, {}},
                                          {"head (" + model.head_type + ")", 1, false, {}},
                                          {"keys and values (" + model.kv_type + ")", 2, false, {}},
                                          {"norms", 3, false, {}}};
  return figure("Bytes read for one token",
                draw_stacks("bytes read for one generated token, by part", "MB", bars) + draw_legend(parts),
                "Generating reads all weights for every token, or for every step of texts together.");
}

std::string memory_chart(const BenchReport& report) {
  std::vector<ChartSeries> series;
  const auto add = [&](std::string name, const std::vector<MachineLimits>& list) {
    ChartSeries line{.name = std::move(name), .colour = static_cast<int>(series.size()), .limit = false, .points = {}};
    for (const MachineLimits& limits : list) {
      const Spread spread = spread_of(limits.read_bytes_per_s);
      if (spread.n == 0) continue;
      line.points.push_back(
          {static_cast<double>(limits.threads), spread.median / 1e9, spread.first / 1e9, spread.third / 1e9});
    }
    if (!line.points.empty()) series.push_back(std::move(line));
  };
  if (!report.memory.empty()) {
    add(fmt::format("{:.0f} MB of memory", static_cast<double>(report.memory.front().read_bytes) / 1e6), report.memory);
  }
  if (!report.benchmark.limits.empty()) {
    const double bytes = static_cast<double>(report.benchmark.limits.front().read_bytes);
    add(fmt::format("{:.0f} MB of this model's weights", bytes / 1e6), report.benchmark.limits);
  }
  if (series.empty()) return {};
  return figure("Reading memory and nothing else",
                draw({.title = "read speed by threads", .x_unit = "threads", .y_unit = "GB/s", .series = series}) +
                    draw_legend(series),
                "Median and quartiles. Weights that fit in a cache are read faster than memory.");
}

std::string facts(const BenchReport& report) {
  std::map<std::string, const SpeedPoint*> best;  // by phase: of one text
  for (const SpeedPoint& point : report.benchmark.points) {
    const SpeedPoint*& now = best[point.phase];
    if (point.texts > 1) continue;
    if (now == nullptr || spread_of(speeds_of(point)).median > spread_of(speeds_of(*now)).median) now = &point;
  }
  std::string html = "<div class=\"facts\">\n";
  for (const auto& [phase, point] : best) {
    if (point == nullptr) continue;
    const Spread spread = spread_of(speeds_of(*point));
    html += fmt::format("<div><b>{} tok/s</b><span class=\"soft\">{}, {} thread{}, &plusmn;{:.1f} %</span></div>\n",
                        readable(spread.median), escape(title_of(*point)), point->threads,
                        point->threads == 1 ? "" : "s", 100.0 * spread.relative());
  }
  const double read =
      static_cast<double>(report.model.ternary_bytes + report.model.head_bytes + report.model.float_bytes);
  html += fmt::format("<div><b>{} MB</b><span class=\"soft\">of weights read for a token</span></div>\n",
                      readable(read / 1e6));
  return html + "</div>\n";
}

/// What everything was measured on.
std::string conditions(const BenchReport& report) {
  std::string html = "<figure><h2>Measured on</h2><dl>\n";
  for (const ReportLine& line : describe(report)) {
    html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape(line.name), escape(line.text));
  }
  return html + "</dl></figure>\n";
}

std::string row(const std::vector<std::string>& cells, const char* tag) {
  std::string html = "<tr>";
  for (const std::string& cell : cells)
    html += fmt::format("<{0}>{1}</{0}>", tag, cell.empty() ? "&ndash;" : escape(cell));
  return html + "</tr>\n";
}

std::string table(const BenchReport& report) {
  const bool energy = std::ranges::any_of(report.benchmark.points, [](const auto& p) { return !p.joules.empty(); });
  std::vector<std::string> heading = {"test",     "threads", "n",     "tokens/s", "quartiles",
                                      "MB/token", "GB/s",    "limit", "by",       "share"};
  if (energy) heading.push_back("J/token");
  std::string html = "<div class=\"scroll\"><table>\n" + row(heading, "th");
  for (const SpeedPoint& point : report.benchmark.points) {
    const Spread spread = spread_of(speeds_of(point));
    const double limit = limit_speed(point);
    const double bytes = static_cast<double>(point.bytes);
    std::vector<std::string> cells = {title_of(point),
                                      fmt::format("{}", point.threads),
                                      fmt::format("{}", spread.n),
                                      readable(spread.median),
                                      fmt::format("{} to {}", readable(spread.first), readable(spread.third)),
                                      readable(bytes / 1e6 / static_cast<double>(point.total_tokens())),
                                      readable(bytes / 1e9 / spread_of(point.seconds).median),
                                      limit > 0.0 ? readable(limit) : "",
                                      point.limited_by,
                                      limit > 0.0 ? fmt::format("{:.0f} %", 100.0 * spread.median / limit) : ""};
    if (energy) cells.push_back(readable(joules_per_token(point)));
    html += row(cells, "td");
  }
  return html + "</table></div>\n";
}

}  // namespace

std::string to_html(const BenchReport& report) {
  std::string html = kHead;
  html += fmt::format("<h1>{}</h1>\n<p class=\"soft\">{}; measured by tern {}{}</p>\n", escape(report.model.name),
                      escape(report.machine.cpu), escape(report.version),
                      report.benchmark.complete ? "" : "; stopped before all was measured");
  html += facts(report);
  html += "<div class=\"charts\">\n" + threads_chart(report, "decode") + threads_chart(report, "prompt") +
          shares_chart(report) + bytes_chart(report) + memory_chart(report) + conditions(report) + "</div>\n";
  html += table(report);
  return html + "</body>\n</html>\n";
}

}  // namespace tern::tools
