#include "tools/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tern::tools {
namespace {

// In units of the drawing, which are pixels on a phone.
constexpr double kWidth = 400.0;
constexpr double kHeight = 240.0;
constexpr double kLeft = 48.0;
constexpr double kRight = 12.0;
constexpr double kTop = 22.0;
constexpr double kBottom = 38.0;
constexpr double kBarHeight = 14.0;
constexpr double kBarStep = 40.0;  // a bar, its label above, and space

/// 1, 2 or 5 times a power of ten, so that about `n` steps reach `most`.
double nice_step(double most, int n) {
  const double rough = std::max(most, 1e-9) / n;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * 0.999) return factor * power;
  }
  return 10.0 * power;
}

std::string open_svg(const std::string& title, double height) {
  return fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n", kWidth, height,
                     escape(title));
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, escape(text));
}

std::string line(std::string_view style, double x1, double y1, double x2, double y2) {
  return fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", style, x1, y1,
                     x2, y2);
}

/// Where values lie in a line chart. Threads stand at even distances whatever their number: 1, 2, 4, 8.
class Plane {
 public:
  explicit Plane(const LineChart& chart) {
    double highest = 0.0;
    for (const ChartSeries& series : chart.series) {
      for (const ChartPoint& point : series.points) {
        xs_.push_back(point.x);
        highest = std::max({highest, point.y, point.high});
      }
    }
    std::ranges::sort(xs_);
    xs_.erase(std::unique(xs_.begin(), xs_.end()), xs_.end());
    step_ = nice_step(highest, 4);
    top_ = std::max(1.0, std::ceil(highest / step_ - 1e-9)) * step_;
  }

  [[nodiscard]] double x(double value) const {
    const auto place = std::ranges::lower_bound(xs_, value) - xs_.begin();
    const double n = static_cast<double>(xs_.size());
    return kLeft + (kWidth - kLeft - kRight) * (static_cast<double>(place) + 0.5) / std::max(1.0, n);
  }
  [[nodiscard]] double y(double value) const { return kHeight - kBottom - (kHeight - kTop - kBottom) * value / top_; }

  [[nodiscard]] std::string axes(const LineChart& chart) const {
    std::string svg;
    for (int i = 0; i * step_ <= top_ * 1.001; ++i) {
      svg += line(i == 0 ? "axis" : "grid", kLeft, y(i * step_), kWidth - kRight, y(i * step_));
      svg += text_at(kLeft - 6, y(i * step_) + 4, "end", readable(i * step_));
    }
    for (const double value : xs_) svg += text_at(x(value), kHeight - kBottom + 16, "middle", readable(value));
    svg += text_at(kLeft - 6 - 38, 12, "start", chart.y_unit);
    svg += text_at((kLeft + kWidth - kRight) / 2, kHeight - 4, "middle", chart.x_unit);
    return svg;
  }

 private:
  std::vector<double> xs_;
  double step_ = 1.0;
  double top_ = 1.0;
};

std::string draw_series(const Plane& plane, const ChartSeries& series) {
  const std::string style = fmt::format("{} c{}", series.limit ? "limit" : "line", series.colour);
  std::string path;
  std::string marks;
  for (const ChartPoint& point : series.points) {
    path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "M" : " L", plane.x(point.x), plane.y(point.y));
    if (series.limit) continue;
    marks += line("whisker c" + std::to_string(series.colour), plane.x(point.x), plane.y(point.low), plane.x(point.x),
                  plane.y(point.high));
    marks += fmt::format("<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>\n", series.colour,
                         plane.x(point.x), plane.y(point.y));
  }
  // A limit at a single place still has to be seen.
  if (series.points.size() == 1 && series.limit) {
    const ChartPoint& only = series.points.front();
    path = fmt::format("M{:.1f},{:.1f} h60", plane.x(only.x) - 30, plane.y(only.y));
  }
  return fmt::format("<path class=\"{}\" d=\"{}\"/>\n", style, path) + marks;
}

}  // namespace

std::string readable(double value) {
  if (value >= 1e7) return fmt::format("{:.4g} M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.4g} k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

std::string escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result;
}

std::string draw(const LineChart& chart) {
  const Plane plane(chart);
  std::string svg = open_svg(chart.title, kHeight) + plane.axes(chart);
  for (const ChartSeries& series : chart.series) svg += draw_series(plane, series);
  return svg + "</svg>\n";
}

std::string draw_shares(const std::string& title, const std::vector<ShareBar>& bars) {
  constexpr double kBegin = 4.0;
  constexpr double kFull = kWidth - 24.0;  // of the limit; beyond it there is room for a share a little above 1
  const double height = kBarStep * static_cast<double>(bars.size()) + 24;
  const auto x = [&](double share) { return kBegin + (kFull - kBegin) * std::min(share, 1.05); };
  std::string svg = open_svg(title, height);
  for (const double share : {0.0, 0.25, 0.5, 0.75}) {
    svg += line(share == 0.0 ? "axis" : "grid", x(share), 0, x(share), height - 20);
    svg += text_at(x(share), height - 5, share == 0.0 ? "start" : "middle", fmt::format("{:.0f} %", 100 * share));
  }
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double top = kBarStep * static_cast<double>(i);
    svg += text_at(kBegin + 4, top + 14, "start", bars[i].name);
    svg += text_at(kFull - 4, top + 14, "end", bars[i].value);
    svg += fmt::format("<rect class=\"fill c{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.0f}\"/>\n",
                       bars[i].colour, kBegin, top + 20, x(bars[i].share) - kBegin, kBarHeight);
  }
  svg += line("limit", x(1.0), 0, x(1.0), height - 20);
  svg += text_at(kWidth - 4, height - 5, "end", "limit");
  return svg + "</svg>\n";
}

std::string draw_stacks(const std::string& title, const std::string& unit, const std::vector<StackedBar>& bars) {
  double most = 0.0;
  for (const StackedBar& bar : bars) {
    double sum = 0.0;
    for (const double part : bar.parts) sum += part;
    most = std::max(most, sum);
  }
  constexpr double kBegin = 4.0;
  constexpr double kEnd = kWidth - 24.0;
  const double step = nice_step(most, 4);
  const double end = std::max(1.0, std::ceil(most / step - 1e-9)) * step;
  const double height = kBarStep * static_cast<double>(bars.size()) + 40;
  const auto x = [&](double value) { return kBegin + (kEnd - kBegin) * value / end; };
  std::string svg = open_svg(title, height);
  for (int i = 0; i * step <= end * 1.001; ++i) {
    svg += line(i == 0 ? "axis" : "grid", x(i * step), 0, x(i * step), height - 36);
    svg += text_at(x(i * step), height - 21, i == 0 ? "start" : "middle", readable(i * step));
  }
  svg += text_at((kBegin + kEnd) / 2, height - 4, "middle", unit);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double top = kBarStep * static_cast<double>(i);
    svg += text_at(kBegin + 4, top + 14, "start", bars[i].name);
    double begin = 0.0;
    for (std::size_t part = 0; part < bars[i].parts.size(); ++part) {
      const double after = begin + bars[i].parts[part];
      svg += fmt::format("<rect class=\"fill c{}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.0f}\"/>\n",
                         part, x(begin), top + 20, x(after) - x(begin), kBarHeight);
      begin = after;
    }
  }
  return svg + "</svg>\n";
}

std::string draw_legend(const std::vector<ChartSeries>& series) {
  std::string html = "<p class=\"legend\">";
  for (const ChartSeries& s : series) {
    html +=
        fmt::format("<span><i class=\"{} c{}\"></i>{}</span> ", s.limit ? "dash" : "block", s.colour, escape(s.name));
  }
  return html + "</p>\n";
}

}  // namespace tern::tools
