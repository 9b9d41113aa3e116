// What a detector found in the pictures of a set, and the two files in which detectors' results are
// exchanged.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/detection/detection_set.h"

namespace invp {

struct Detection {
  std::int32_t picture = 0;  ///< row of DetectionSet::pictures
  std::int32_t label = 0;    ///< row of DetectionSet::classes
  double score = 0;
  std::array<double, 4> box = {};  ///< as Detections::form says
};

/// Each form keeps the numbers of its file exactly, since an overlap may lie at a threshold.
enum class BoxForm : std::uint8_t {
  kCorners,  ///< x0, y0, x1, y1, f32 numbers, pixel i covers [i, i + 1): what the network gives
  kSizes,    ///< x, y, width, height: COCO's results
  kVocText,  ///< xmin, ymin, xmax, ymax, the first pixel 1, the last one within: VOC's text
};

struct Detections {
  BoxForm form = BoxForm::kCorners;
  std::vector<Detection> rows;  ///< ties of score are judged in this order
  std::string source;           ///< the file or folder that they were read from
};

/// As VOC's text has them: scores with 3 decimals, coordinates with 1, rounded to even as f32.
/// Those that were text before are as they were.
Detections as_voc_text(const Detections& detections);
/// Of corners, the sizes are f32 differences.
Detections as_sizes(const Detections& detections);

/// Reads COCO's results ([{image_id, category_id, bbox, score}]), VOC's comp4_det_SPLIT_CLASS.txt
/// ("ID score xmin ymin xmax ymax"), or a folder: VOC's files if it has any, else its only JSON
/// file. Results of a VOC set name pictures by ID or by its digits, and classes from 1 to 20; text
/// of a COCO set names pictures by file_name without ending. A file of one class leaves the others
/// without detections. Throws Error naming file and line or entry for pictures that are not in the
/// set (and how many), unknown classes, what is no finite number, and lines and entries of another
/// form.
Detections read_detections(const std::filesystem::path& path, const DetectionSet& set);

/// COCO's id of a picture in results: of VOC the digits of its ID.
std::int64_t result_id(const DetectionSet& set, std::int64_t picture);

inline constexpr std::string_view kResultsFile = "coco_instances_results.json";
inline constexpr std::string_view kTruthFile = "coco_ground_truth.json";

/// Writes both forms into `folder`, and the objects of a VOC set as COCO's annotations, with
/// difficult ones as crowds, so that the official evaluators of both can judge them.
void write_detections(const std::filesystem::path& folder, const DetectionSet& set,
                      const Detections& detections);

}  // namespace invp
