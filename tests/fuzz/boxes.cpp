// Annotations and detections: an XML of VOC, the JSON of COCO, results as JSON and as VOC's text.
#include <algorithm>

#include "data/detection/detection_set.h"
#include "data/detection/detections.h"
#include "data/detection/voc_boxes.h"
#include "tests/fuzz/fuzz.h"

namespace invp::fuzz {
namespace {

void check(const DetectionSet& set) {
  for (const BoxedObject& object : set.objects) {
    if (object.label < 0 || object.label >= std::ssize(set.classes))
      fault("an object without a class");
  }
  for (std::int64_t i = 0; i < std::ssize(set.pictures); ++i) {
    const BoxedPicture& picture = set.pictures[static_cast<std::size_t>(i)];
    if (picture.objects < 0 || picture.first_object < 0 ||
        picture.first_object + picture.objects > std::ssize(set.objects)) {
      fault("a picture with objects that are not there");
    }
    set.picture_path(i);
  }
}

/// Pictures "a" and "b" with two classes.
DetectionSet two_pictures(BoxFormat format) {
  DetectionSet set{.format = format, .source = "set", .split = "test", .classes = {"cat", "dog"}};
  set.class_ids = {1, 7};
  set.pictures = {{.name = "000001", .folder = "", .id = 1, .width = 50, .height = 40},
                  {.name = "b.jpg", .folder = "", .id = 2, .width = 50, .height = 40}};
  return set;
}

void read_results(const std::filesystem::path& file, BoxFormat format) {
  const DetectionSet set = two_pictures(format);
  const Detections found = read_detections(file, set);
  for (const Detection& row : found.rows) {
    if (row.picture < 0 || row.picture >= std::ssize(set.pictures) || row.label < 0 ||
        row.label >= std::ssize(set.classes)) {
      fault("a detection of no picture or class");
    }
  }
  as_voc_text(found);
  as_sizes(found);
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  static const fuzz::Folder folder("instances_train.json",
                                   {"a.xml", "results.json", "comp4_det_test_cat.txt"});
  const auto json = folder.write("instances_train.json", fuzz::Bytes(data, size));
  fuzz::reads([&] { read_voc_annotation(folder.path() / "a.xml"); });
  for (const bool tolerate : {false, true}) {
    fuzz::reads([&] { fuzz::check(open_boxes(json, {.tolerate = tolerate, .pictures = false})); });
  }
  for (const char* results : {"results.json", "comp4_det_test_cat.txt"}) {
    fuzz::reads([&] { fuzz::read_results(folder.path() / results, BoxFormat::kVoc); });
    fuzz::reads([&] { fuzz::read_results(folder.path() / results, BoxFormat::kCoco); });
  }
  return 0;
}
