// Drawn pictures of several objects with their boxes, as a set for detection: to try the detector
// without files, and to see what it finds in pictures that anyone may pass on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "data/images/image.h"
#include "data/synthetic/synthetic.h"

namespace invp {

/// An object of a drawn picture. The box holds every pixel that the object covers by half or more,
/// what other objects hide included, cut at the border: corners in pixels, right and bottom
/// exclusive.
struct DrawnObject {
  int label = 0;
  int left = 0, top = 0, right = 0, bottom = 0;
};

struct BoxedScene {
  Image picture;
  std::vector<DrawnObject> objects;  ///< 1 to 6, from back to front
};

/// A pure function of the options, the split and the index, as draw_synthetic. The looks of the
/// classes are those of the set of labels.
BoxedScene draw_boxed_scene(const SyntheticOptions& options, SyntheticSplit split,
                            std::int64_t index);

/// Writes COCO's form: DIR/annotations/instances_train2017.json and _val2017.json, and
/// DIR/train2017/000000000001.jpg and so on. Calls progress and throws as synthesize() does.
void synthesize_boxes(const std::filesystem::path& dir, const SynthesizeOptions& options,
                      const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace invp
