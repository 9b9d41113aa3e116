// The sample images (anchors) of which the page shows neighbors and positives, and their pictures
// as HTML.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "invp/report/html/pictures.h"
#include "invp/report/html/sections.h"

namespace invp {

/// `count` images spread evenly over the set, with different labels as far as possible.
std::vector<std::int64_t> sample_anchors(const Dataset& dataset, int count);

/// True if there are at least two classes.
bool has_classes(const Dataset& dataset);

/// The anchors of one data set as HTML, and the runs that were trained on it.
class AnchorCards {
 public:
  AnchorCards(const RunParts& first, int anchors);

  bool same_data(const RunParts& run) const;
  void add(const RunParts& run) { runs_.push_back(&run); }
  const Dataset& dataset() const { return dataset_; }
  const std::vector<std::int64_t>& anchors() const { return anchors_; }

  /// One card per anchor: its picture, and for each run what `strip` returns for it and the
  /// anchor's position in anchors().
  using Strip = std::function<std::string(const RunParts&, std::size_t)>;
  std::string cards(const Strip& strip);

  /// An item of a list of pictures. `hard` draws a ring; another class than the anchor's draws a
  /// cross.
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

/// The runs that have bank, graph and pictures, grouped by their data set.
std::vector<AnchorCards> anchor_cards(const std::vector<RunParts>& runs, int anchors);

}  // namespace invp
