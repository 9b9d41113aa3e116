// Sets of small pictures with boxes, for tests of what loads them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/detection/detection_set.h"
#include "data/images/encode.h"
#include "engine/files/atomic_file.h"
#include "tests/data/golden.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {

/// Picture i has one object of label i % 20 and is 40 wide and 30 high, every third 30 and 40.
class BoxedFolder : public TempFolder {
 public:
  explicit BoxedFolder(std::int64_t count, BoxFormat format = BoxFormat::kVoc) {
    set.format = format;
    set.source = path();
    set.split = "train";
    for (std::int64_t i = 0; i < 20; ++i) set.classes.push_back("class " + std::to_string(i));
    for (std::int64_t i = 0; i < count; ++i) {
      const auto [width, height] = i % 3 == 0 ? std::pair{30, 40} : std::pair{40, 30};
      add(width, height);
      add_object({2, 3, 20, 10});
      write_file(set.picture_path(i),
                 encode_png(test::photo_like(width, height, static_cast<std::uint64_t>(i))));
    }
  }

  /// A picture without objects and without a file.
  void add(int width, int height) {
    BoxedPicture picture;
    picture.name = "p" + std::to_string(set.pictures.size());
    picture.folder = path().string();
    picture.width = width;
    picture.height = height;
    picture.first_object = std::ssize(set.objects);
    set.pictures.push_back(picture);
  }
  /// To the picture that was added last.
  void add_object(const ObjectBox& box, bool difficult = false) {
    BoxedPicture& picture = set.pictures.back();
    BoxedObject object;
    object.box = box;
    object.label = static_cast<std::int32_t>((set.pictures.size() - 1) % 20);
    object.difficult = difficult;
    object.fault = fault_of(box, picture.width, picture.height);
    set.objects.push_back(object);
    ++picture.objects;
  }
  void spoil(std::int64_t picture) const { write_to(picture, "no picture"); }
  void write_to(std::int64_t picture, std::string_view bytes) const {
    std::ofstream(set.picture_path(picture), std::ios::binary) << bytes;
  }

  DetectionSet set;
};

}  // namespace invp::testing
