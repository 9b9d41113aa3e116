// t-SNE plots: points colored by class as SVG, and their pictures, which the page's script shows.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/files/json_text.h"
#include "invp/report/html/html.h"
#include "invp/report/html/pictures.h"
#include "invp/report/html/sections.h"

namespace invp {

namespace {

using Json = nlohmann::ordered_json;

// The width and height of the SVG in its own units, and the margin.
constexpr int kSide = 2000;
constexpr int kMargin = 40;

struct Placed {
  std::vector<int> x;
  std::vector<int> y;
};

/// The points in the SVG's units: one scale for both axes, y upwards.
Placed placed(const std::vector<std::array<float, 2>>& points) {
  std::array<float, 2> low = points.front();
  std::array<float, 2> high = points.front();
  for (const auto& point : points) {
    for (std::size_t i = 0; i < 2; ++i) {
      low[i] = std::min(low[i], point[i]);
      high[i] = std::max(high[i], point[i]);
    }
  }
  const float range = std::max({high[0] - low[0], high[1] - low[1], 1e-12F});
  const auto scaled = [&](float value, std::size_t i) {
    const float middle = low[i] + (high[i] - low[i]) / 2;
    return static_cast<int>(std::lround((value - middle) / range * (kSide - 2 * kMargin)));
  };
  Placed result;
  for (const auto& point : points) {
    result.x.push_back(kSide / 2 + scaled(point[0], 0));
    result.y.push_back(kSide / 2 - scaled(point[1], 1));
  }
  return result;
}

/// The data set of the points; null if it cannot be opened or has other labels.
std::shared_ptr<const Dataset> dataset_of(const RunParts& run, const PlotPoints& plot,
                                          Missing& missing) {
  if (run.train == nullptr) return nullptr;  // read_run has reported it
  try {
    const auto dataset = plot.split == "train" ? run.train : run.run->open(plot.split);
    for (std::size_t i = 0; i < plot.indices.size(); ++i) {
      const std::int64_t index = plot.indices[i];
      CHECK(index >= 0 && index < dataset->size() && dataset->label(index) == plot.labels[i],
            "its points are of another data set");
    }
    return dataset;
  } catch (const Error& error) {
    missing.add(run, message("t-SNE without pictures (", plot.file.string(), "): ", error.what()));
    return nullptr;
  }
}

/// A class of the plot and its points.
struct Kind {
  std::int64_t label = 0;
  std::string name;
  std::string path;  ///< of dots: "M x y h0" each, drawn with round ends
};

std::vector<Kind> kinds_of(const PlotPoints& plot, const Placed& at, const Dataset* dataset,
                           std::vector<int>& kind_of_point) {
  std::map<std::int64_t, int> numbers;
  for (const std::int64_t label : plot.labels) numbers.emplace(label, 0);
  std::vector<Kind> kinds;
  for (auto& [label, number] : numbers) {
    number = static_cast<int>(kinds.size());
    const bool named = dataset != nullptr && label >= 0 && label < std::ssize(dataset->classes());
    kinds.push_back({.label = label,
                     .name = named       ? dataset->classes()[static_cast<std::size_t>(label)]
                             : label < 0 ? "unlabelled"
                                         : message("class ", label),
                     .path = {}});
  }
  for (std::size_t i = 0; i < plot.labels.size(); ++i) {
    const int kind = numbers.at(plot.labels[i]);
    kind_of_point.push_back(kind);
    kinds[static_cast<std::size_t>(kind)].path += message('M', at.x[i], ' ', at.y[i], "h0");
  }
  return kinds;
}

/// The hues divide the circle evenly.
std::string look_of(std::size_t kind, std::size_t kinds) {
  return message("style=\"--h:", 360 * kind / kinds, '"');
}
/// Of more than eight classes every other one also has another lightness.
const char* class_of_kind(const Kind& kind, std::size_t number, std::size_t kinds) {
  if (kind.label < 0) return "k unknown";
  return kinds > 8 && number % 2 == 1 ? "k alt" : "k";
}

/// Width and height of a point's picture in pixels: smaller where there are many, to keep the page
/// small.
int tile_side(std::size_t points) {
  return points <= 3000 ? 48 : 32;
}

std::string caption_of(const PlotPoints& plot) {
  std::string text = plot.name.empty() ? "" : plot.name + ", ";
  text += counted(std::ssize(plot.points), "image") + " of " + plot.split;
  if (plot.divergence) text += formatted(", KL divergence %.3f", *plot.divergence);
  return text;
}

std::string plot_figure(const RunParts& run, const PlotPoints& plot, bool alone,
                        const ReportOptions& options, Missing& missing) {
  const auto dataset = dataset_of(run, plot, missing);
  const Placed at = placed(plot.points);
  std::vector<int> kind_of_point;
  const std::vector<Kind> kinds = kinds_of(plot, at, dataset.get(), kind_of_point);
  Json json{{"x", at.x},
            {"y", at.y},
            {"kind", kind_of_point},
            {"index", plot.indices},
            {"classes", Json::array()},
            {"row", TileSheets::kTilesARow},
            {"tile", tile_side(plot.points.size())},
            {"sheets", Json::array()}};
  for (const Kind& kind : kinds) json["classes"].push_back(kind.name);
  if (dataset != nullptr && std::ssize(plot.points) > options.most_tiles) {
    missing.add(run, message("t-SNE without pictures, ", plot.points.size(),
                             " points are more than ", options.most_tiles));
  } else if (dataset != nullptr) {
    json["sheets"] = tile_sheets(*dataset, plot.indices, tile_side(plot.points.size())).uris;
  }
  std::string out = message("<figure class=\"tsne\">\n<figcaption>", alone ? "" : run_tag(run),
                            "<span class=\"quiet\">", html_escaped(caption_of(plot)),
                            "</span></figcaption>\n", "<svg viewBox=\"0 0 ", kSide, ' ', kSide,
                            "\" role=\"img\" aria-label=\"t-SNE plot\">\n");
  std::string legend;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const char* style = class_of_kind(kinds[i], i, kinds.size());
    const std::string look = look_of(i, kinds.size());
    out += message("<path class=\"", style, "\" ", look, " data-kind=\"", i, "\" d=\"",
                   kinds[i].path, "\"/>\n");
    legend += message("<button class=\"", style + 1, "\" ", look, " data-kind=\"", i,
                      "\" aria-pressed=\"false\">", html_escaped(kinds[i].name), "</button>\n");
  }
  out += "</svg>\n<div class=\"classes\">\n" + legend + "</div>\n";
  const std::string text = json_text(json);
  return out + "<script type=\"application/json\">" + script_safe(text) + "</script>\n</figure>\n";
}

}  // namespace

std::string plots_section(const std::vector<RunParts>& runs, const ReportOptions& options,
                          Missing& missing) {
  std::string out;
  for (const RunParts& run : runs) {
    for (const PlotPoints& plot : run.plots) {
      if (!plot.points.empty()) out += plot_figure(run, plot, runs.size() == 1, options, missing);
    }
  }
  if (out.empty()) return out;
  return "<p class=\"quiet\">Point at a dot to see its image, at a class to see it alone.</p>\n"
         "<div class=\"plots\">\n" +
         out + "</div>\n";
}

}  // namespace invp
