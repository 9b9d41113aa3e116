// What a detector finds in the pictures of a set.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/detection/detections.h"
#include "data/load/view_maker.h"
#include "data/sets/bad_images.h"
#include "engine/comm/communicator.h"
#include "layers/detection/faster_rcnn.h"

namespace invp {

struct DetectSetOptions {
  int short_edge = kTestShortEdge;
  int longest = kLongestSide;
  DecodeOptions decode;
  double max_bad_share = 0.01;  ///< of the set; see BadImages
};

struct FoundInSet {
  Detections detections;      ///< corners, picture by picture, best score first
  std::vector<BadImage> bad;  ///< pictures that could not be read
};

/// One picture at a time, each at the test's size, boxes in the picture's own pixels. The next one
/// is read meanwhile. Leaves the detector in evaluation mode. Throws Error when too many pictures
/// are bad. Several ranks take the pictures in turn, and each gets all that was found.
FoundInSet detect_set(FasterRcnn& detector, const DetectionSet& set,
                      const DetectSetOptions& options,
                      const std::function<void(std::int64_t done, std::int64_t total)>& progress,
                      Communicator& ranks = *invp::alone());

/// What it finds in one picture that was prepared by test_picture().
std::vector<FoundObject> detect_picture(FasterRcnn& detector, const TestPicture& picture);

}  // namespace invp
