// Line charts as SVG. A figure needs no other file: no style or font is fetched.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace invp {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>>
      points;  ///< x ascends; a point that is not finite breaks the line
};

/// A tick where the caller wants it: its place and what stands beside it.
struct Tick {
  double at = 0;
  std::string label;
};

/// A logarithmic axis. `ticks` ascend and are positive; those beyond the values are left out.
struct LogAxis {
  std::vector<Tick> ticks;
};

struct Chart {
  std::string title;
  std::string unit;  ///< printed after the title in gray: "per cent"
  std::vector<Series> series;
  bool from_zero = false;               ///< the vertical axis starts at 0
  bool percent = false;                 ///< both axes run from 0 to 100
  bool mark_highest = false;            ///< a dot and the value at the first series' highest point
  bool legend = true;                   ///< names of the series, if there are several
  std::optional<LogAxis> log_x, log_y;  ///< of svg_figure only; values are then positive
};

/// Round tick positions covering [low, high] with about `wanted` steps of 1, 2 or 5 times a power
/// of ten: the first at or below low, the last at or above high. A range of no width is widened
/// around its value.
std::vector<double> nice_ticks(double low, double high, int wanted);

/// "0.03", "12,500", "1.2e-05": with as many digits as the step between ticks needs.
std::string tick_label(double value, double step);

/// A figure of charts, two per row, which share the title of the horizontal axis.
std::string svg_figure(const std::string& title, const std::string& subtitle,
                       const std::string& x_label, const std::vector<Chart>& charts);

/// One chart for a page that has a style. Its elements have the classes panel, title, unit, grid,
/// axis, tick, legend, value, line, dot and, by series, c0, c1, ...; without a style from the page
/// the series have the colors of svg_figure. The attribute data-chart is JSON for a script that
/// shows values: plot [left, top, width, height], x [low, high], series [{name, points [[x, y],
/// ...]}].
std::string svg_panel(const Chart& chart, const std::string& x_label, double width = 380,
                      double height = 250);

}  // namespace invp
