// Pictures with boxes around their objects: PASCAL VOC and COCO.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/detection/object_box.h"

namespace invp {

enum class BoxFormat : std::uint8_t { kVoc, kCoco };

struct BoxedObject {
  ObjectBox box;
  double area = 0;         ///< COCO's field; of VOC, and where the field is missing, the box's
  std::int32_t label = 0;  ///< in [0, classes.size())
  bool difficult = false;  ///< VOC's mark, or COCO's iscrowd: neither asked for nor wrong
  bool no_area = false;    ///< COCO: the file does not state the area
  BoxFault fault = BoxFault::kNone;
  std::int64_t id = 0;  ///< COCO's; of VOC the number of the object in its file, from 0
};

struct BoxedPicture {
  std::string name;                            ///< VOC's ID; COCO's file_name
  std::string folder;                          ///< that the picture lies in
  std::int64_t id = 0;                         ///< COCO's; of VOC the row
  std::int32_t width = 0, height = 0;          ///< as the annotations say
  std::int64_t first_object = 0, objects = 0;  ///< a range of DetectionSet::objects
};

/// What cannot be used, and was left out: a file or an entry of one, and the reason.
struct SetFault {
  std::string what;
  std::string reason;
};

struct DetectionSet {
  BoxFormat format = BoxFormat::kVoc;
  std::filesystem::path source;      ///< the folder of VOC, the JSON file of COCO
  std::string split;                 ///< "2007_trainval+2012_trainval"; COCO's file without ".json"
  std::vector<std::string> classes;  ///< of COCO in ascending id
  std::vector<std::int64_t> class_ids;  ///< COCO's category ids; of VOC 1 to 20
  std::vector<BoxedPicture> pictures;   ///< of COCO in ascending id, of VOC in the lists' order
  std::vector<BoxedObject> objects;     ///< picture by picture, each in the file's order
  std::vector<SetFault> faults;         ///< those that OpenBoxes::tolerate let pass

  std::span<const BoxedObject> objects_of(std::int64_t picture) const {
    const BoxedPicture& of = pictures[static_cast<std::size_t>(picture)];
    return std::span(objects).subspan(static_cast<std::size_t>(of.first_object),
                                      static_cast<std::size_t>(of.objects));
  }
  std::filesystem::path picture_path(std::int64_t picture) const;
};

/// The twenty classes of VOC, in the order of their labels.
inline constexpr std::array<std::string_view, 20> kVocClassNames = {
    "aeroplane", "bicycle",     "bird",  "boat",        "bottle", "bus",      "car",
    "cat",       "chair",       "cow",   "diningtable", "dog",    "horse",    "motorbike",
    "person",    "pottedplant", "sheep", "sofa",        "train",  "tvmonitor"};

struct OpenBoxes {
  std::string format = "auto";  ///< "auto", "voc", "coco"
  /// "train", "val", "test", "trainval". VOC: train is trainval of every year where there is a test
  /// split to judge by, else train of every year; "2007_test", or several parts with "+" between
  /// them ("2007_trainval+2012_trainval"), are those. COCO: instances_SPLIT*.json.
  std::string split = "train";
  /// False: the first fault is an Error. True: faults are listed, and what has one is left out; but
  /// a picture of COCO stays when only its file is missing.
  bool tolerate = false;
  /// False: pictures need not be there, as for an evaluation of detections from a file.
  bool pictures = true;
};

/// Opens a set at a devkit, a folder with annotations/instances_*.json, or such a file. Throws
/// Error naming file and line or entry for: nothing of the kind at `path`, a split that is not
/// there, a list that names a picture or annotations which are missing, or one of them twice,
/// broken or oversized XML and JSON, a class that is not known, ids that two entries share, an
/// annotation whose picture is not in the file.
DetectionSet open_boxes(const std::filesystem::path& path, const OpenBoxes& open);

/// The splits that open_boxes finds at the path, of "train", "val" and "test"; none if there are no
/// boxes.
std::vector<std::string> box_splits(const std::filesystem::path& path, std::string_view format);

/// "not a number", "outside the picture", ...
std::string_view fault_text(BoxFault fault);

}  // namespace invp
