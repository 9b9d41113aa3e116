#include "invp/report/svg/layers.h"

#include "engine/core/text.h"
#include "invp/report/svg/svg_chart.h"

namespace invp {

namespace {

std::string line_of(const std::string& front, const std::vector<double>& figures) {
  std::string line = front;
  for (const double value : figures) line += "," + formatted("%.6g", value);
  return line + "\n";
}

}  // namespace

std::string layers_csv(const LinearResult& result) {
  std::string csv = result.multi_label ? "tap,block,dims,map,map_envelope,map_11point\n"
                                       : "tap,block,dims,top1,top5\n";
  for (const auto& [layer, score] : result.taps) {
    csv += line_of(message(layer.tap, ",", layer.block, ",", layer.dims()),
                   result.multi_label
                       ? std::vector{score.map, score.map_envelope, score.map_eleven_point}
                       : std::vector{score.top1, score.top5});
  }
  return csv;
}

std::string layers_svg(const std::string& title, const LinearResult& result) {
  Series series{.name = result.multi_label ? "mAP" : "top-1", .points = {}};
  for (const TapResult& tap : result.taps)
    series.points.emplace_back(tap.layer.tap, result.headline(tap));
  const TapResult& best = result.taps[result.best];
  return svg_figure(title,
                    message("best at block ", best.layer.tap, " (", best.layer.block, "), ",
                            formatted("%.2f", result.headline(best)), " %"),
                    "block",
                    {{.title = result.multi_label ? "Mean average precision" : "Top-1 accuracy",
                      .unit = "per cent, linear classifier",
                      .series = {std::move(series)},
                      .mark_highest = true}});
}

std::string classes_csv(const LinearResult& result, const std::vector<std::string>& classes) {
  std::string csv = "class,tap,step,envelope,11point\n";
  for (std::size_t c = 0; c < classes.size(); ++c) {
    for (const auto& [layer, score] : result.taps) {
      const AveragePrecision& precision = score.classes[c];
      csv +=
          line_of(message(classes[c], ",", layer.tap),
                  {100 * precision.step, 100 * precision.envelope, 100 * precision.eleven_point});
    }
  }
  return csv;
}

}  // namespace invp
