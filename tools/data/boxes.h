// What invp data info, check and show have of a set's boxes.
#pragma once

#include <string>
#include <vector>

#include "data/images/image.h"
#include "data/sets/open_dataset.h"
#include "tools/options/command.h"

namespace invp::cli {

/// Has the set boxes? Those of VOC without Annotations have none.
bool has_boxes(const DataSource& source);

/// Prints pictures and objects of each split, and the objects of each class; returns them by split.
Results tell_boxes(const DataSource& source);

/// Pictures of a split with their boxes drawn, at most `rows`, spread evenly; shrunk so that the
/// longer side is `side`. Difficult objects and crowds are dashed.
std::vector<Image> pictures_with_boxes(const DataSource& source, const std::string& split,
                                       std::int64_t rows, int side);

/// Prints boxes and annotations that are no good: what training drops or clips, annotations that
/// cannot be read and pictures that are not there. Adds to `results` bad_boxes, clipped_boxes,
/// left_out_pictures and the number pictures_without_objects. True if there is anything but boxes
/// to be clipped.
bool check_boxes(const DataSource& source, Results& results);

}  // namespace invp::cli
