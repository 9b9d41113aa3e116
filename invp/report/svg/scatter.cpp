#include "invp/report/svg/scatter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <numbers>
#include <set>
#include <sstream>

#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/core/text.h"
#include "invp/report/svg/markup.h"

namespace invp {

namespace {

// Pixels.
constexpr double kMap = 640;
constexpr double kGap = 20;
constexpr double kMargin = 28;
constexpr double kHeader = 62;
constexpr double kPanelHeader = 40;
constexpr double kBorder = 18;  // between the outermost points and the panel's edge
constexpr double kLegendWidth = 190;
constexpr double kLegendLine = 19;

/// Half of the points of a class must lie this near to its name, or it gets no name.
constexpr double kLoosest = 90;
constexpr std::size_t kMostNamed = 12;
constexpr const char* kUnknownColor = "#9aa0a8";

/// From the map's units to a panel's pixels, with one scale for both axes.
class Frame {
 public:
  Frame(const Tensor& points, double left, double top) {
    std::array<float, 2> low{points.data<float>()[0], points.data<float>()[1]};
    std::array<float, 2> high = low;
    for (std::int64_t i = 0; i < points.dim(0); ++i) {
      for (std::size_t axis = 0; axis < 2; ++axis) {
        const float value = points.data<float>()[2 * i + static_cast<std::int64_t>(axis)];
        low[axis] = std::min(low[axis], value);
        high[axis] = std::max(high[axis], value);
      }
    }
    const double span = std::max(
        {static_cast<double>(high[0]) - low[0], static_cast<double>(high[1]) - low[1], 1e-12});
    scale_ = (kMap - 2 * kBorder) / span;
    x_ = left + kMap / 2 - scale_ * (static_cast<double>(low[0]) + high[0]) / 2;
    y_ = top + kMap / 2 + scale_ * (static_cast<double>(low[1]) + high[1]) / 2;
  }
  double x(double value) const { return x_ + scale_ * value; }
  double y(double value) const { return y_ - scale_ * value; }  // upwards
  double scale() const { return scale_; }

 private:
  double scale_, x_, y_;
};

struct Classes {
  std::vector<std::int64_t> present;  ///< ascending
  const std::vector<std::string>& names;
  bool unknown = false;

  std::string name(std::int64_t label) const {
    const auto at = static_cast<std::size_t>(label);
    return label >= 0 && at < names.size() ? names[at] : std::to_string(label);
  }
  std::string color(std::int64_t label) const {
    if (label < 0) return kUnknownColor;
    const auto at = std::ranges::lower_bound(present, label) - present.begin();
    return class_color(at, std::ssize(present));
  }
  bool named_on_map() const { return present.size() <= kMostNamed; }
};

void check(const ScatterPanel& panel) {
  CHECK(panel.points.defined() && panel.points.rank() == 2 && panel.points.dim(1) == 2 &&
            panel.points.dim(0) == std::ssize(panel.labels) && !panel.labels.empty(),
        "[scatter] ", panel.labels.size(), " labels for points ", panel.points.shape());
  for (const float value : panel.points.span<float>())
    CHECK(std::isfinite(value), "[scatter] points must be finite, got ", value);
}

Classes classes_of(const std::vector<ScatterPanel>& panels, const std::vector<std::string>& names) {
  std::set<std::int64_t> present;
  for (const ScatterPanel& panel : panels) present.insert(panel.labels.begin(), panel.labels.end());
  Classes classes{.present = {}, .names = names};
  for (const std::int64_t label : present) {
    if (label >= 0)
      classes.present.push_back(label);
    else
      classes.unknown = true;
  }
  return classes;
}

/// One path per class. Its dots are lines of length 0 with round ends, which take a fifth of the
/// bytes of circles.
void draw_points(std::ostream& out, const ScatterPanel& panel, const Frame& frame,
                 const Classes& classes) {
  const auto n = static_cast<double>(panel.labels.size());
  const double radius = std::clamp(90 / std::sqrt(n), 1.0, 4.5);
  std::map<std::int64_t, std::string> paths;
  for (std::size_t i = 0; i < panel.labels.size(); ++i) {
    const float* point = panel.points.data<float>() + 2 * i;
    paths[std::max<std::int64_t>(panel.labels[i], -1)] +=
        "M" + fixed(frame.x(point[0])) + " " + fixed(frame.y(point[1])) + "h0";
  }
  for (const auto& [label, path] : paths) {
    out << "<path class=\"dots\" stroke=\"" << classes.color(label) << "\" stroke-width=\""
        << fixed(2 * radius, 2) << "\" d=\"" << path << "\"><title>"
        << (label < 0 ? "unknown" : html_escaped(classes.name(label))) << "</title></path>\n";
  }
}

/// Writes the name or number of each class at its point nearest to the medians of its coordinates.
/// A class that is spread widely gets none (kLoosest).
void draw_names(std::ostream& out, const ScatterPanel& panel, const Frame& frame,
                const Classes& classes) {
  for (const std::int64_t label : classes.present) {
    std::array<std::vector<double>, 2> values;
    for (std::size_t i = 0; i < panel.labels.size(); ++i) {
      if (panel.labels[i] != label) continue;
      for (std::size_t axis = 0; axis < 2; ++axis)
        values[axis].push_back(panel.points.data<float>()[2 * i + axis]);
    }
    if (values[0].empty()) continue;
    std::array<double, 2> median{};
    for (std::size_t axis = 0; axis < 2; ++axis) {
      std::vector<double> sorted = values[axis];
      const auto middle = sorted.begin() + std::ssize(sorted) / 2;
      std::ranges::nth_element(sorted, middle);
      median[axis] = *middle;
    }
    std::size_t best = 0;
    const auto distance = [&](std::size_t i) {
      return std::hypot(values[0][i] - median[0], values[1][i] - median[1]);
    };
    for (std::size_t i = 1; i < values[0].size(); ++i) {
      if (distance(i) < distance(best)) best = i;
    }
    std::vector<double> distances(values[0].size());
    for (std::size_t i = 0; i < distances.size(); ++i) {
      distances[i] = std::hypot(values[0][i] - values[0][best], values[1][i] - values[1][best]);
    }
    const auto half = distances.begin() + std::ssize(distances) / 2;
    std::ranges::nth_element(distances, half);
    if (*half * frame.scale() > kLoosest) continue;
    out << "<text class=\"name\" x=\"" << fixed(frame.x(values[0][best])) << "\" y=\""
        << fixed(frame.y(values[1][best]) + 4) << "\">"
        << html_escaped(classes.named_on_map() ? classes.name(label) : std::to_string(label))
        << "</text>\n";
  }
}

void draw_thumbnails(std::ostream& out, const ScatterPanel& panel, const Frame& frame,
                     const Classes& classes) {
  for (const ScatterThumbnail& thumbnail : panel.thumbnails) {
    const float* point = panel.points.data<float>() + 2 * thumbnail.point;
    const std::string x = fixed(frame.x(point[0]) - kThumbnailSide / 2);
    const std::string y = fixed(frame.y(point[1]) - kThumbnailSide / 2);
    const std::string side = fixed(kThumbnailSide, 0);
    const std::string box =
        "x=\"" + x + "\" y=\"" + y + "\" width=\"" + side + "\" height=\"" + side + "\"";
    out << "<image " << box << " href=\"" << html_escaped(thumbnail.uri) << "\"/>\n"
        << "<rect class=\"frame\" " << box << " stroke=\""
        << classes.color(panel.labels[static_cast<std::size_t>(thumbnail.point)]) << "\"/>\n";
  }
}

void draw_panel(std::ostream& out, const ScatterPanel& panel, double left, double top,
                const Classes& classes) {
  out << "<rect class=\"panel\" x=\"" << fixed(left) << "\" y=\"" << fixed(top) << "\" width=\""
      << fixed(kMap) << "\" height=\"" << fixed(kPanelHeader + kMap) << "\" rx=\"6\"/>\n"
      << "<text class=\"title\" x=\"" << fixed(left + 16) << "\" y=\"" << fixed(top + 26) << "\">"
      << html_escaped(panel.title) << "<tspan class=\"note\" dx=\"9\">" << html_escaped(panel.note)
      << "</tspan></text>\n";
  const Frame frame(panel.points, left, top + kPanelHeader);
  draw_points(out, panel, frame, classes);
  draw_thumbnails(out, panel, frame, classes);
  if (classes.present.size() > 1) draw_names(out, panel, frame, classes);
}

/// As many columns as the height of the panels asks for.
struct Legend {
  std::size_t entries, lines, columns;
  Legend(const Classes& classes, double height)
      : entries(classes.present.size() + (classes.unknown ? 1 : 0)),
        lines(std::max<std::size_t>(1, static_cast<std::size_t>((height - 20) / kLegendLine))),
        columns((entries + lines - 1) / lines) {}
  double width() const { return kLegendWidth * static_cast<double>(columns); }
};

std::string shortened(const std::string& name, std::size_t longest) {
  if (name.size() <= longest) return name;
  std::size_t end = longest - 1;
  while (end > 0 && (name[end] & 0xC0) == 0x80) --end;  // not within a character
  return name.substr(0, end) + "…";
}

void draw_legend(std::ostream& out, const Legend& legend, double left, double top,
                 const Classes& classes) {
  constexpr std::size_t kLongestName = 24;
  for (std::size_t i = 0; i < legend.entries; ++i) {
    const bool unknown = i == classes.present.size();
    const std::int64_t label = unknown ? -1 : classes.present[i];
    const std::size_t column = i / legend.lines;
    const double x = left + kLegendWidth * static_cast<double>(column);
    const double y = top + 16 + kLegendLine * static_cast<double>(i % legend.lines);
    out << "<circle cx=\"" << fixed(x + 6) << "\" cy=\"" << fixed(y - 4) << "\" r=\"5\" fill=\""
        << classes.color(label) << "\"/>\n";
    double text_x = x + 18;
    const bool numbered = !unknown && !classes.named_on_map();
    if (numbered) {
      out << "<text class=\"number\" x=\"" << fixed(x + 38) << "\" y=\"" << fixed(y) << "\">"
          << label << "</text>\n";
      text_x = x + 45;
    }
    const std::string name = unknown ? "unknown" : classes.name(label);
    if (numbered && name == std::to_string(label)) continue;
    out << "<text class=\"legend\" x=\"" << fixed(text_x) << "\" y=\"" << fixed(y) << "\">"
        << html_escaped(shortened(name, kLongestName)) << "</text>\n";
  }
}

constexpr const char* kStyle = R"(<style>
text { font-family: "Inter", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; fill: #2b2f36; }
.heading { font-size: 19px; font-weight: 600; }
.title { font-size: 14px; font-weight: 600; }
.note { font-size: 12px; font-weight: 400; fill: #7a808a; }
.legend { font-size: 12px; fill: #3c414a; }
.number { font-size: 12px; font-weight: 600; text-anchor: end; }
.name { font-size: 12px; font-weight: 700; text-anchor: middle; stroke: #ffffff; stroke-width: 3px;
  stroke-linejoin: round; paint-order: stroke; }
.panel { fill: #ffffff; stroke: #e2e4e8; }
.dots { fill: none; stroke-linecap: round; stroke-opacity: 0.8; }
.frame { fill: none; stroke-width: 2; }
</style>
)";

/// OKLCH (Ottosson 2020) to sRGB. Equal steps in OKLCH look equal.
std::string oklch(double lightness, double chroma, double degrees) {
  const double a = chroma * std::cos(degrees * std::numbers::pi / 180);
  const double b = chroma * std::sin(degrees * std::numbers::pi / 180);
  const auto cube = [](double value) { return value * value * value; };
  const double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
  const double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
  const double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
  std::array<char, 8> text{};
  const auto byte = [](double linear) {
    const double value = linear <= 0.0031308
                             ? 12.92 * linear
                             : 1.055 * std::pow(std::max(linear, 0.0), 1 / 2.4) - 0.055;
    return static_cast<int>(std::lround(255 * std::clamp(value, 0.0, 1.0)));
  };
  std::snprintf(text.data(), text.size(), "#%02x%02x%02x",
                byte(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
                byte(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
                byte(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s));
  return text.data();
}

}  // namespace

std::string class_color(std::int64_t index, std::int64_t count) {
  constexpr std::array<double, 3> kLightness{0.62, 0.46, 0.76};
  constexpr std::array<double, 3> kChroma{0.17, 0.14, 0.13};
  const auto tone = static_cast<std::size_t>(count <= 6 ? 0 : index % 3);
  const double hue =
      25 + 360 * static_cast<double>(index) / static_cast<double>(std::max<std::int64_t>(count, 1));
  return oklch(kLightness[tone], kChroma[tone], hue);
}

std::vector<std::int64_t> thumbnail_places(const Tensor& points, std::int64_t wanted) {
  const Frame frame(points, 0, 0);
  std::vector<std::int64_t> order(static_cast<std::size_t>(points.dim(0)));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  Random random(0, Purpose::kOrder);
  random.shuffle(std::span(order));
  // Thumbnails that overlap lie in the same cell of this grid or in neighboring cells.
  std::map<std::pair<int, int>, std::pair<double, double>> taken;
  std::vector<std::int64_t> places;
  for (const std::int64_t i : order) {
    if (std::ssize(places) >= wanted) break;
    const double x = frame.x(points.data<float>()[2 * i]);
    const double y = frame.y(points.data<float>()[2 * i + 1]);
    constexpr double kPitch = kThumbnailSide + 3;
    const int column = static_cast<int>(std::floor(x / kPitch));
    const int row = static_cast<int>(std::floor(y / kPitch));
    bool free = true;
    for (int dx = -1; dx <= 1; ++dx) {
      for (int dy = -1; dy <= 1; ++dy) {
        const auto other = taken.find({column + dx, row + dy});
        free = free && (other == taken.end() || std::abs(other->second.first - x) >= kPitch ||
                        std::abs(other->second.second - y) >= kPitch);
      }
    }
    if (!free) continue;
    taken[{column, row}] = {x, y};
    places.push_back(i);
  }
  return places;
}

std::string scatter_svg(const std::string& title, const std::vector<ScatterPanel>& panels,
                        const std::vector<std::string>& names) {
  CHECK(!panels.empty(), "[scatter] there is no map to draw");
  for (const ScatterPanel& panel : panels) check(panel);
  const Classes classes = classes_of(panels, names);
  const std::size_t columns = std::min<std::size_t>(2, panels.size());
  const std::size_t rows = (panels.size() + columns - 1) / columns;
  const double panels_width = static_cast<double>(columns) * (kMap + kGap) - kGap;
  const double panels_height = static_cast<double>(rows) * (kPanelHeader + kMap + kGap) - kGap;
  const Legend legend(classes, panels_height);
  const double width = 2 * kMargin + panels_width + kGap + legend.width();
  const double height = kHeader + panels_height + kMargin;
  std::ostringstream out;
  out << svg_head(width, height, title, kStyle) << "<text class=\"heading\" x=\"" << fixed(kMargin)
      << "\" y=\"38\">" << html_escaped(title) << "</text>\n";
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const std::size_t row = i / columns;
    draw_panel(out, panels[i], kMargin + static_cast<double>(i % columns) * (kMap + kGap),
               kHeader + static_cast<double>(row) * (kPanelHeader + kMap + kGap), classes);
  }
  draw_legend(out, legend, kMargin + panels_width + kGap, kHeader, classes);
  out << "</svg>\n";
  return std::move(out).str();
}

}  // namespace invp
