#include "data/detection/detection_set.h"

#include "data/detection/coco_boxes.h"
#include "data/detection/voc_boxes.h"
#include "data/sets/coco.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

BoxFormat format_at(const fs::path& path, std::string_view wanted) {
  CHECK(fs::exists(path), path.string(), ": no such file or folder; check the path");
  if (wanted == "voc") return BoxFormat::kVoc;
  if (wanted == "coco" || fs::is_regular_file(path)) return BoxFormat::kCoco;
  if (!voc_box_years(path).empty()) return BoxFormat::kVoc;
  CHECK(!coco_splits(path).empty(), path.string(),
        ": no set with boxes; expected is a VOCdevkit (VOC2007 with Annotations, JPEGImages and "
        "ImageSets/Main) or COCO's annotations/instances_val2017.json");
  return BoxFormat::kCoco;
}

CocoPart coco_part(const fs::path& path, const std::string& split) {
  CHECK(!fs::is_regular_file(path) || path.extension() == ".json", path.string(),
        ": is no JSON file (.json); give COCO's annotations or a folder");
  // A file says itself what it is; test annotations of COCO are not public, so val judges.
  if (fs::is_regular_file(path)) return *find_coco(path, coco_splits(path).front());
  if (auto part = find_coco(path, split)) return *part;
  if (split == "test") {
    if (auto part = find_coco(path, "val")) return *part;
  }
  fail(path.string(), ": no annotations/instances_", split, "*.json; there are ",
       coco_splits(path).empty() ? "none" : joined(coco_splits(path)));
}

}  // namespace

fs::path DetectionSet::picture_path(std::int64_t picture) const {
  const BoxedPicture& of = pictures[static_cast<std::size_t>(picture)];
  return fs::path(of.folder) / (format == BoxFormat::kVoc ? of.name + ".jpg" : of.name);
}

DetectionSet open_boxes(const fs::path& path, const OpenBoxes& open) {
  if (format_at(path, open.format) == BoxFormat::kVoc) return open_voc_boxes(path, open);
  return open_coco_boxes(coco_part(path, open.split), open);
}

std::vector<std::string> box_splits(const fs::path& path, std::string_view format) {
  return format == "voc" ? voc_box_splits(path) : coco_splits(path);
}

std::string_view fault_text(BoxFault fault) {
  switch (fault) {
    case BoxFault::kNone: return "whole";
    case BoxFault::kReachesOut: return "reaches out of the picture";
    case BoxFault::kOutside: return "lies outside the picture";
    case BoxFault::kEmpty: return "has no area";
    case BoxFault::kNotFinite: return "is not a number";
  }
  return "";
}

}  // namespace invp
