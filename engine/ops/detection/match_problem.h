// The rule of match_boxes.h, for both devices.
#pragma once

#include "engine/ops/detection/box_arithmetic.h"
#include "engine/ops/detection/match_boxes.h"

namespace invp {

struct MatchProblem {
  MatchParams params;
  std::int64_t pictures;
  std::int64_t most_objects;
  std::int64_t boxes_of_picture;
  const Box* objects;
  const std::int32_t* counts;
  const Box* boxes;
  bool shared;                     ///< the same boxes for every picture
  const std::int32_t* box_counts;  ///< null: all are there
  float* largest;                  ///< (pictures, most_objects): the largest IoU of each object
  std::int32_t* best;
  std::int32_t* labels;

  HOST_DEVICE std::int64_t object_count(std::int64_t picture) const {
    const std::int64_t count = counts[picture];
    return count < 0 ? 0 : count > most_objects ? most_objects : count;
  }
  HOST_DEVICE std::int64_t box_count(std::int64_t picture) const {
    if (box_counts == nullptr) return boxes_of_picture;
    const std::int64_t count = box_counts[picture];
    return count > boxes_of_picture ? boxes_of_picture : count;
  }
  HOST_DEVICE const Box* objects_of(std::int64_t picture) const {
    return objects + picture * most_objects;
  }
  HOST_DEVICE const Box* boxes_in(std::int64_t picture) const {
    return shared ? boxes : boxes + picture * boxes_of_picture;
  }

  /// Box i, once `largest` is known.
  HOST_DEVICE void match(std::int64_t picture, std::int64_t i) const {
    const std::int64_t at = picture * boxes_of_picture + i;
    best[at] = 0;
    labels[at] = kNoLabel;
    if (i >= box_count(picture)) return;
    const Box own = boxes_in(picture)[i];
    const std::int64_t count = object_count(picture);
    float highest = count > 0 ? -1 : 0;
    bool is_largest = false;
    for (std::int64_t object = 0; object < count; ++object) {
      const float overlap = iou(objects_of(picture)[object], own);
      if (overlap > highest) {
        highest = overlap;
        best[at] = static_cast<std::int32_t>(object);
      }
      is_largest = is_largest || overlap == largest[picture * most_objects + object];
    }
    if (count > 0 && (highest >= params.high || (params.low_quality && is_largest))) {
      labels[at] = 1;
    } else if (count == 0 || highest < params.low) {
      labels[at] = 0;
    }
  }
};

}  // namespace invp
