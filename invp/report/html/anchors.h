// The sample images that neighbors and positives are shown of, and how pictures stand on the page.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "invp/report/html/pictures.h"
#include "invp/report/html/sections.h"

namespace invp {

/// Images spread evenly over the set; of labelled ones no class twice while there are others.
std::vector<std::int64_t> sample_anchors(const Dataset& dataset, int count);

/// Are there classes worth naming?
bool has_classes(const Dataset& dataset);

/// Pictures of one data set as HTML, and the runs that were trained on it.
class AnchorCards {
 public:
  AnchorCards(const RunParts& first, int anchors);

  bool same_data(const RunParts& run) const;
  void add(const RunParts& run) { runs_.push_back(&run); }
  const Dataset& dataset() const { return dataset_; }
  const std::vector<std::int64_t>& anchors() const { return anchors_; }

  /// One card an anchor: its picture, and of each run what `strip` makes of (run, position of the
  /// anchor in anchors()).
  using Strip = std::function<std::string(const RunParts&, std::size_t)>;
  std::string cards(const Strip& strip);

  /// An item of a list of pictures; `hard` ones are ringed, those of another class than `anchor`
  /// crossed.
  std::string tile(std::int64_t image, std::int64_t anchor, bool hard,
                   const std::string& caption = {});
  bool same_class(std::int64_t a, std::int64_t b) const {
    return dataset_.label(a) == dataset_.label(b);
  }

 private:
  std::string class_name(std::int64_t image) const;

  const Dataset& dataset_;
  std::vector<const RunParts*> runs_;
  std::vector<std::int64_t> anchors_;
  Thumbnails small_;
  Thumbnails large_;
};

/// The runs that have bank, graph and pictures, by their data set.
std::vector<AnchorCards> anchor_cards(const std::vector<RunParts>& runs, int anchors);

}  // namespace invp
