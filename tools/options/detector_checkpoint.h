// The detector of a checkpoint, for the commands that use one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/load/short_edge.h"
#include "layers/detection/faster_rcnn.h"
#include "tools/options/device_options.h"
#include "tools/options/options.h"

namespace invp::cli {

struct DetectorOptions {
  std::string checkpoint;
  std::string weights_prefix;
  int test_size = 0;  ///< 0: as the checkpoint says
  int max_size = 0;
  std::int64_t at_once = RegionConfig{}.at_once;
  DeviceOptions device;
};

/// --test-size, --max-size, --regions-at-once and the device. The command declares --checkpoint.
void declare_detector(Options& options, DetectorOptions& detector);

struct LoadedDetector {
  std::unique_ptr<FasterRcnn> network;  ///< on its device, in evaluation mode
  std::vector<std::string> classes;     ///< "class 3" where the file does not name them
  bool named = false;                   ///< the file names its classes
  int short_edge = kTestShortEdge;
  int longest = kLongestSide;
  Compute compute;
};

/// Of a checkpoint of ours or of detectron2. Sets threads and numerics. Throws Error naming the
/// file and what it lacks.
LoadedDetector load_detector(const DetectorOptions& options);

}  // namespace invp::cli
