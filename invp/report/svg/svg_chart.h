// Line charts as SVG: small, self-contained, readable on screen and in print. No styles or fonts
// are fetched.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace invp {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>>
      points;  ///< ascending x; a point that is not finite breaks the line
};

struct Chart {
  std::string title;
  std::string unit;  ///< after the title, in gray: "per cent"
  std::vector<Series> series;
  bool from_zero = false;     ///< the vertical axis starts at 0
  bool mark_highest = false;  ///< a dot and its value on the first series' highest point
  bool legend = true;         ///< names of the series, where there are several
};

/// Round tick positions covering [low, high] with about `wanted` steps of 1, 2 or 5 times a power
/// of ten: the first at or below low, the last at or above high. A range of no width is widened
/// around its value.
std::vector<double> nice_ticks(double low, double high, int wanted);

/// "0.03", "12,500", "1.2e-05": as short as the step between ticks allows.
std::string tick_label(double value, double step);

/// Charts side by side, two a row, over a common horizontal axis title.
std::string svg_figure(const std::string& title, const std::string& subtitle,
                       const std::string& x_label, const std::vector<Chart>& charts);

/// One chart for a page that brings the style: elements carry the classes panel, title, unit, grid,
/// axis, tick, legend, value, line, dot and, for their series, c0, c1, ...; their colors are those
/// of svg_figure unless the page's style says otherwise. The attribute data-chart holds, as JSON,
/// what a script needs to read values off: plot [left, top, width, height], x [low, high], series
/// [{name, points [[x, y], ...]}].
std::string svg_panel(const Chart& chart, const std::string& x_label, double width = 380,
                      double height = 250);

}  // namespace invp
