#include "invp/run/measures.h"

#include <algorithm>

#include "engine/core/error.h"

namespace invp {

const std::vector<MeasureChart>& measure_charts() {
  static const std::vector<MeasureChart> charts{
      {"Loss", "mean of the epoch"},
      {"Accuracy", "per cent", true},
      {"Average precision", "of detections, per cent", true},
      {"Regions", "share, per cent"},
      {"Weighted kNN", "per cent of the validation split", true},
      {"Purity of positives", "of the anchor's class, per cent"}};
  return charts;
}

const std::vector<ShownMeasure>& known_measures() {
  using enum MeasurePlace;
  // name, heading, title, chart, legend, in_curves, place
  static const std::vector<ShownMeasure> measures{
      {"loss", "loss", "Loss", "Loss", "total"},
      {"loss_ins", "ins", "Instance loss", "Loss", "instance", true, kAfterLoss},
      {"loss_inv", "inv", "Invariance loss", "Loss", "invariance", true, kAfterLoss},
      {"knn_top1", "kNN-1", "kNN top-1", "Weighted kNN", "top-1", true, kAfterRate},
      {"knn_top5", "kNN-5", "kNN top-5", "Weighted kNN", "top-5", false, kAfterRate},
      {"positive_purity", "", "Purity of N(i)", "Purity of positives", "N(i)", true, kAfterRate},
      {"hard_positive_purity", "", "Purity of hard positives", "Purity of positives", "hard N^h(i)",
       true, kAfterRate},
      {"top1", "top-1", "Top-1 accuracy"},
      {"top5", "top-5", "Top-5 accuracy"},
      {"mean_per_class", "mean/cl", "Mean per-class accuracy"},
      {"loss_rpn_cls", "rpn cls", "Objectness loss", "Loss", "RPN objectness", true, kAfterLoss},
      {"loss_rpn_loc", "rpn box", "RPN box loss", "Loss", "RPN boxes", true, kAfterLoss},
      {"loss_cls", "cls", "Class loss", "Loss", "classes", true, kAfterLoss},
      {"loss_box_reg", "box", "Box loss", "Loss", "boxes", true, kAfterLoss},
      {"foreground", "", "Foreground regions", "Regions", "foreground", true, kAfterLoss},
      {"recall", "recall", "Proposal recall", "Regions", "objects proposed", true, kAfterLoss},
      {"ap50", "AP50", "AP50", "Average precision", "AP50"},
      {"ap", "AP", "AP", "Average precision", "AP"},
      {"ap75", "AP75", "AP75", "Average precision", "AP75"},
      {"map", "mAP", "Mean average precision"},
      {"map_envelope", "envel.", "mAP, envelope"},
      {"map_11point", "11-pt", "mAP, 11 points"}};
  return measures;
}

const ShownMeasure* find_known(std::string_view name) {
  const auto found = std::ranges::find(known_measures(), name, &ShownMeasure::name);
  return found == known_measures().end() ? nullptr : &*found;
}

MeasurePlace place_of(std::string_view name) {
  const ShownMeasure* const known = find_known(name);
  return known == nullptr ? MeasurePlace::kLast : known->place;
}

std::vector<ShownMeasure> known_measures(const std::vector<std::string_view>& names) {
  std::vector<ShownMeasure> rows;
  for (const std::string_view name : names) {
    const ShownMeasure* const known = find_known(name);
    CHECK(known != nullptr, "no measure is called '", name, "'");
    rows.push_back(*known);
  }
  return rows;
}

}  // namespace invp
