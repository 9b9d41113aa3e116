#include "invp/report/svg/svg_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/files/json_text.h"
#include "invp/report/svg/markup.h"

namespace invp {

namespace {

// Pixels.
constexpr double kPanelWidth = 470;
constexpr double kPanelHeight = 270;
constexpr double kGap = 20;
constexpr double kMargin = 28;
constexpr double kHeader = 74;
constexpr double kAxisLeft = 58;
constexpr double kAxisRight = 18;
constexpr double kAxisTop = 58;
constexpr double kAxisBottom = 40;

// Different in hue and in lightness, so that they can be told apart by the color-blind and in gray.
constexpr std::array<const char*, 8> kColors{"#1f5fa8", "#d9722a", "#3a9b6f", "#8a5fb0",
                                             "#b8860b", "#c2405a", "#3d9fb5", "#6b7280"};

// A color, and a class by which a page's style may replace it.
std::string stroke_of(std::size_t series) {
  const std::size_t i = series % kColors.size();
  return message("class=\"line c", i, "\" stroke=\"", kColors[i], '"');
}
std::string fill_of(std::size_t series) {
  const std::size_t i = series % kColors.size();
  return message("class=\"dot c", i, "\" fill=\"", kColors[i], '"');
}

struct Box {
  double left, top, width, height;
  double right() const { return left + width; }
  double bottom() const { return top + height; }
};

struct Axis {
  std::vector<Tick> ticks;
  double low() const { return ticks.front().at; }
  double high() const { return ticks.back().at; }
  double fraction(double value) const { return (value - low()) / (high() - low()); }
};

void text(std::ostream& out, double x, double y, const char* style, const std::string& words) {
  out << "<text x=\"" << fixed(x) << "\" y=\"" << fixed(y) << "\" class=\"" << style << "\">"
      << html_escaped(words) << "</text>\n";
}

void line(std::ostream& out, double x1, double y1, double x2, double y2, const char* style) {
  out << "<line x1=\"" << fixed(x1) << "\" y1=\"" << fixed(y1) << "\" x2=\"" << fixed(x2)
      << "\" y2=\"" << fixed(y2) << "\" class=\"" << style << "\"/>\n";
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

Axis linear_axis(const Range& range, int wanted) {
  const std::vector<double> ticks = nice_ticks(range.low, range.high, wanted);
  Axis axis;
  for (const double at : ticks) axis.ticks.push_back({at, tick_label(at, ticks[1] - ticks[0])});
  return axis;
}

/// The logarithms of the ticks from the last below the range to the first above it.
Axis log_axis(const LogAxis& wanted, const Range& range) {
  Axis axis;
  for (const Tick& tick : wanted.ticks) {
    const Tick placed{std::log10(tick.at), tick.label};
    if (placed.at <= range.low) axis.ticks.clear();
    axis.ticks.push_back(placed);
    if (placed.at >= range.high && axis.ticks.size() > 1) break;
  }
  CHECK(axis.ticks.size() > 1, "a logarithmic axis needs two ticks around its values");
  return axis;
}

/// The chart as it is drawn: logarithms in place of the values of its logarithmic axes.
Chart placed_on(const Chart& chart) {
  Chart placed = chart;
  for (Series& series : placed.series) {
    for (auto& [x, y] : series.points) {
      if (chart.log_x) x = std::log10(x);
      if (chart.log_y) y = std::log10(y);
    }
  }
  return placed;
}

void draw_axes(std::ostream& out, const Box& plot, const Axis& x, const Axis& y, double x_low,
               double x_high) {
  for (const Tick& tick : y.ticks) {
    const double at = plot.bottom() - y.fraction(tick.at) * plot.height;
    line(out, plot.left, at, plot.right(), at, tick.at == y.low() ? "axis" : "grid");
    text(out, plot.left - 8, at + 4, "tick end", tick.label);
  }
  for (const Tick& tick : x.ticks) {
    if (tick.at < x_low || tick.at > x_high) continue;
    const double at = plot.left + (tick.at - x_low) / (x_high - x_low) * plot.width;
    line(out, at, plot.bottom(), at, plot.bottom() + 4, "axis");
    text(out, at, plot.bottom() + 18, "tick middle", tick.label);
  }
}

// Draws one path between gaps, or a dot where only one point stands between them.
void draw_series(std::ostream& out, const Series& series, std::size_t number, const auto& to_x,
                 const auto& to_y) {
  std::string path;
  int length = 0;
  double last_x = 0;
  double last_y = 0;
  const auto finish = [&] {
    if (length == 1) {
      out << "<circle cx=\"" << fixed(last_x) << "\" cy=\"" << fixed(last_y) << "\" r=\"3\" "
          << fill_of(number) << "/>\n";
    } else if (length > 1) {
      out << "<path d=\"" << path << "\" " << stroke_of(number) << "/>\n";
    }
    path.clear();
    length = 0;
  };
  for (const auto& [x, y] : series.points) {
    if (!std::isfinite(x) || !std::isfinite(y)) {
      finish();
      continue;
    }
    last_x = to_x(x);
    last_y = to_y(y);
    path += (length++ == 0 ? "M" : " L") + fixed(last_x) + " " + fixed(last_y);
  }
  finish();
}

/// Names that would reach out of the panel are moved together, and to the left.
void draw_legend(std::ostream& out, const Box& panel, const Chart& chart) {
  constexpr double kLetter = 6.4;
  if (!chart.legend || chart.series.size() < 2) return;
  const auto count = static_cast<double>(chart.series.size());
  double letters = 0;
  for (const Series& series : chart.series)
    letters += kLetter * static_cast<double>(series.name.size());
  double x = panel.left + kAxisLeft;
  double around = 44;  // line, name and the next one's distance, without the letters
  if (x + letters + count * around > panel.right()) {
    x = panel.left + 16;
    around = std::max(30.0, std::min(around, (panel.right() - x - letters) / count));
  }
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const double y = panel.top + 44;
    out << "<line x1=\"" << fixed(x) << "\" y1=\"" << fixed(y - 4) << "\" x2=\"" << fixed(x + 16)
        << "\" y2=\"" << fixed(y - 4) << "\" " << stroke_of(i) << "/>\n";
    text(out, x + 22, y, "legend", chart.series[i].name);
    x += around + kLetter * static_cast<double>(chart.series[i].name.size());
  }
}

void draw_highest(std::ostream& out, const Box& plot, const Series& series, const auto& to_x,
                  const auto& to_y) {
  const std::pair<double, double>* best = nullptr;
  for (const auto& point : series.points) {
    if (std::isfinite(point.second) && (best == nullptr || point.second > best->second))
      best = &point;
  }
  if (best == nullptr) return;
  const double x = to_x(best->first);
  const double y = to_y(best->second);
  out << "<circle cx=\"" << fixed(x) << "\" cy=\"" << fixed(y)
      << "\" r=\"4\" class=\"best c0\" stroke=\"" << kColors[0] << "\"/>\n";
  const bool left_side = x > plot.left + plot.width / 2;
  text(out, x + (left_side ? 4 : -4), y - 9, left_side ? "value end" : "value",
       fixed(best->second, 1));
}

Box plot_of(const Box& panel) {
  return {panel.left + kAxisLeft, panel.top + kAxisTop, panel.width - kAxisLeft - kAxisRight,
          panel.height - kAxisTop - kAxisBottom};
}

/// The range that the axes must cover.
struct Extent {
  Range x;
  Range y;
};
Extent extent_of(const Chart& chart) {
  Extent extent;
  for (const Series& series : chart.series) {
    for (const auto& [x, y] : series.points) {
      if (!std::isfinite(y)) continue;
      extent.x.include(x);
      extent.y.include(y);
    }
  }
  if (!extent.y.empty() && (chart.from_zero || chart.percent)) extent.y.include(0);
  if (!extent.y.empty() && chart.percent) {
    extent.y.include(100);
    for (const double end : {0, 100}) extent.x.include(end);
  }
  if (extent.x.low == extent.x.high) {
    extent.x.low -= 0.5;
    extent.x.high += 0.5;
  }
  return extent;
}

void draw_chart(std::ostream& out, const Box& panel, const Chart& chart,
                const std::string& x_label) {
  out << "<rect x=\"" << fixed(panel.left) << "\" y=\"" << fixed(panel.top) << "\" width=\""
      << fixed(panel.width) << "\" height=\"" << fixed(panel.height)
      << "\" rx=\"6\" class=\"panel\"/>\n";
  out << "<text x=\"" << fixed(panel.left + 16) << "\" y=\"" << fixed(panel.top + 25)
      << "\" class=\"title\">" << html_escaped(chart.title) << "<tspan class=\"unit\" dx=\"7\">"
      << html_escaped(chart.unit) << "</tspan></text>\n";
  draw_legend(out, panel, chart);

  const Box plot = plot_of(panel);
  const Extent extent = extent_of(chart);
  const Range& xs = extent.x;
  const Range& ys = extent.y;
  if (ys.empty()) {
    text(out, plot.left + plot.width / 2, plot.top + plot.height / 2, "tick middle", "no data");
    return;
  }
  // x is an epoch, a block or per cent: no ticks between whole numbers.
  const int x_steps = static_cast<int>(std::clamp(xs.high - xs.low, 1.0, 6.0));
  const Axis x_axis = chart.log_x ? log_axis(*chart.log_x, xs) : linear_axis(xs, x_steps);
  const Axis y_axis = chart.log_y ? log_axis(*chart.log_y, ys) : linear_axis(ys, 4);
  draw_axes(out, plot, x_axis, y_axis, xs.low, xs.high);
  text(out, plot.right(), panel.bottom() - 7, "unit end axis-title", x_label);

  const auto to_x = [&](double x) {
    return plot.left + (x - xs.low) / (xs.high - xs.low) * plot.width;
  };
  const auto to_y = [&](double y) { return plot.bottom() - y_axis.fraction(y) * plot.height; };
  for (std::size_t i = chart.series.size(); i-- > 0;) {
    draw_series(out, chart.series[i], i, to_x, to_y);
  }
  if (chart.mark_highest && !chart.series.empty())
    draw_highest(out, plot, chart.series[0], to_x, to_y);
}

/// The value of data-chart.
std::string readings(const Chart& chart, const Box& plot) {
  const Extent extent = extent_of(chart);
  if (extent.y.empty()) return "{}";
  nlohmann::ordered_json json;
  json["plot"] = {plot.left, plot.top, plot.width, plot.height};
  json["x"] = {extent.x.low, extent.x.high};
  json["series"] = nlohmann::ordered_json::array();
  for (const Series& series : chart.series) {
    auto points = nlohmann::ordered_json::array();
    for (const auto& [x, y] : series.points) {
      if (!std::isfinite(x) || !std::isfinite(y)) continue;
      points.push_back({x, std::stod(formatted("%.5g", y))});
    }
    json["series"].push_back({{"name", series.name}, {"points", std::move(points)}});
  }
  return json_text(json);
}

constexpr const char* kStyle = R"(<style>
text { font-family: "Inter", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; fill: #2b2f36; }
.heading { font-size: 19px; font-weight: 600; }
.title { font-size: 14px; font-weight: 600; }
.unit, .subtitle { font-size: 12px; font-weight: 400; fill: #7a808a; }
.subtitle { font-size: 13px; }
.tick, .legend { font-size: 12px; fill: #5b616b; }
.value { font-size: 12px; font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.panel { fill: #ffffff; stroke: #e2e4e8; }
.grid { stroke: #eceef1; }
.axis { stroke: #aeb4bd; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.best { fill: #ffffff; stroke-width: 2; }
</style>
)";

}  // namespace

std::vector<double> nice_ticks(double low, double high, int wanted) {
  if (!(high > low)) {
    const double around = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= around;
    high += around;
  }
  const double raw = (high - low) / wanted;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double scaled = raw / power;
  const double step = power * (scaled <= 1 ? 1 : scaled <= 2 ? 2 : scaled <= 5 ? 5 : 10);
  std::vector<double> ticks;
  const auto first = static_cast<long long>(std::floor(low / step + 1e-9));
  const auto last = static_cast<long long>(std::ceil(high / step - 1e-9));
  for (long long i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::string tick_label(double value, double step) {
  if (value != 0 && (std::abs(step) < 1e-4 || std::abs(value) >= 1e7))
    return formatted("%.3g", value);
  const int digits = std::max(0, static_cast<int>(std::ceil(-std::log10(std::abs(step)) - 1e-9)));
  std::string label = fixed(value, digits);
  const std::size_t sign = label[0] == '-' ? 1 : 0;
  for (std::size_t at = label.find('.') == std::string::npos ? label.size() : label.find('.');
       at > sign + 3;) {
    at -= 3;
    label.insert(at, 1, ',');
  }
  return label;
}

std::string svg_figure(const std::string& title, const std::string& subtitle,
                       const std::string& x_label, const std::vector<Chart>& charts) {
  const std::size_t columns = std::min<std::size_t>(2, std::max<std::size_t>(1, charts.size()));
  const std::size_t rows = (charts.size() + columns - 1) / columns;
  const double width = 2 * kMargin + static_cast<double>(columns) * (kPanelWidth + kGap) - kGap;
  const double height =
      kHeader + static_cast<double>(rows) * (kPanelHeight + kGap) - kGap + kMargin;
  std::ostringstream out;
  out << svg_head(width, height, title, kStyle);
  text(out, kMargin, 36, "heading", title);
  text(out, kMargin, 57, "subtitle", subtitle);
  for (std::size_t i = 0; i < charts.size(); ++i) {
    const std::size_t row = i / columns;
    const Box panel{kMargin + static_cast<double>(i % columns) * (kPanelWidth + kGap),
                    kHeader + static_cast<double>(row) * (kPanelHeight + kGap), kPanelWidth,
                    kPanelHeight};
    draw_chart(out, panel, placed_on(charts[i]), x_label);
  }
  out << "</svg>\n";
  return std::move(out).str();
}

std::string svg_panel(const Chart& chart, const std::string& x_label, double width, double height) {
  const Box panel{0, 0, width, height};
  std::ostringstream out;
  out << "<svg class=\"chart\" viewBox=\"0 0 " << fixed(width, 0) << ' ' << fixed(height, 0)
      << "\" role=\"img\" aria-label=\"" << html_escaped(chart.title) << "\" data-chart=\""
      << html_escaped(readings(chart, plot_of(panel))) << "\">\n";
  draw_chart(out, panel, chart, x_label);
  out << "</svg>\n";
  return std::move(out).str();
}

}  // namespace invp
