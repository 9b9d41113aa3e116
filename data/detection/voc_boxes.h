// The boxes of PASCAL VOC's devkits: Annotations/ID.xml beside the pictures and lists of voc.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/detection/detection_set.h"

namespace invp {

/// Years below `path` that hold Annotations.
std::vector<std::filesystem::path> voc_box_years(const std::filesystem::path& path);
std::vector<std::string> voc_box_splits(const std::filesystem::path& path);
DetectionSet open_voc_boxes(const std::filesystem::path& path, const OpenBoxes& open);

/// One file of Annotations: sizes, and objects with label, box and mark. `box` runs from
/// (xmin - 1, ymin - 1) to (xmax, ymax): VOC counts pixels from 1 and includes the last. Only
/// object/bndbox counts, not that of a part. Numbers may have decimals, as three of VOC2012 do.
/// Throws Error naming the file and the object for broken XML, more than 4 MiB, a class that is
/// none of the twenty, a box that lacks a side, and a missing size.
struct VocAnnotation {
  std::int32_t width = 0, height = 0;
  std::vector<BoxedObject> objects;
};
VocAnnotation read_voc_annotation(const std::filesystem::path& file);

}  // namespace invp
