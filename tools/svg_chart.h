#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Small charts as SVG, drawn by us and complete in themselves: no scripts, colours from the page's style sheet.
namespace tern::tools {

/// A measured value with its quartiles.
struct ChartPoint {
  double x = 0.0;
  double y = 0.0;
  double low = 0.0;   ///< first quartile
  double high = 0.0;  ///< third quartile
};

struct ChartSeries {
  std::string name;
  int colour = 0;      ///< index of a colour of the style sheet: class "c0" to "c5"
  bool limit = false;  ///< a limit: dashed, without quartiles
  std::vector<ChartPoint> points;
};

struct LineChart {
  std::string title;  ///< for those who cannot see it
  std::string x_unit;
  std::string y_unit;
  std::vector<ChartSeries> series;
};

/// Lines over a scale that begins at 0.
[[nodiscard]] std::string draw(const LineChart& chart);

/// A bar from 0 to 1, which is the limit.
struct ShareBar {
  std::string name;
  std::string value;  ///< at the right: "30.3 of 34.1 tok/s"
  int colour = 0;
  double share = 0.0;
};
[[nodiscard]] std::string draw_shares(const std::string& title, const std::vector<ShareBar>& bars);

/// A bar made of parts.
struct StackedBar {
  std::string name;
  std::vector<double> parts;  ///< in the unit of the chart; part i has colour i
};
[[nodiscard]] std::string draw_stacks(const std::string& title, const std::string& unit,
                                      const std::vector<StackedBar>& bars);

/// What stands for which colour, as HTML.
[[nodiscard]] std::string draw_legend(const std::vector<ChartSeries>& series);

/// Four digits, with k or M where there would be more: "12.3", "19.05 k".
[[nodiscard]] std::string readable(double value);

/// Text for HTML and SVG: nothing in it is taken for markup.
[[nodiscard]] std::string escape(std::string_view text);

}  // namespace tern::tools
